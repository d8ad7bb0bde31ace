"""A clip on a card with a model of full size: how it is best made, how long it takes, in words and tables."""
