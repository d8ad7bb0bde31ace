"""Latents longer than the model's window, under ComfyUI's guiders and samplers."""
