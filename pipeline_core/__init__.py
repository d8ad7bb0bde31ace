"""Photorealism for synthetic driving video: torch-only core, independent of ComfyUI."""

__version__ = "0.1.0"
