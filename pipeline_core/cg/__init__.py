"""Clips of the studio as a data set, with their truth in the field's formats."""
