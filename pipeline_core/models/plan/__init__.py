"""What a model needs and what it costs at full size: traced without weights, for a card and a clip."""
