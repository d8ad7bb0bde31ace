"""Which family of the table a connected MODEL belongs to, and how a connected VAE cuts a clip into latent frames."""

from __future__ import annotations

from ..pipeline_core.models.families import Family, family_of_preset, find_family
from ..pipeline_core.models.preset import Preset


def model_family(model) -> Family | None:
    """The row of a MODEL: a model folder's own preset, or what ComfyUI's class says; None where nothing is known."""
    preset = getattr(model.model, "preset", None)
    if isinstance(preset, Preset):
        return family_of_preset(preset)
    return find_family(model.model.model_config.unet_config)


def vae_ratios(vae) -> tuple[int, int]:
    """(pixel frames per latent frame, pixels per latent cell side) of a VAE; (1, ...) for an image VAE."""
    return vae.temporal_compression_decode() or 1, vae.spacial_compression_encode()
