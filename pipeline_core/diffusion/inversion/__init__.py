"""The inversion methods, what they report and the solver that retraces them; `diffusion.invert` puts them to work."""
