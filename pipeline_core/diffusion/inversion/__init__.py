"""Inversion methods, what they report, and the solver that retraces them; `diffusion.invert` runs them."""
