"""A ComfyUI server seen from outside, with Python's standard library alone: nothing to install."""
