"""The parts of gpu_check.py: what is run on a card, inside how many minutes, and what is written about it."""
