"""The only importer of comfy, latent_preview, folder_paths and server: ComfyUI as the core sees it."""
