"""The long training run: one command that goes on for days on one core beside other work."""
