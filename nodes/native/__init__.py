"""Model folders in diffusers' layout as ComfyUI's own objects: MODEL, CLIP, VAE, CONTROL_NET."""
