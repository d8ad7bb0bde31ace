"""A model folder in diffusers' format as MODEL, CLIP, VAE and CONTROL_NET."""
