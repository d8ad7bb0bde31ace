"""Which family of the table a connected MODEL belongs to, and what a pass of it should know."""

from __future__ import annotations

from torch import Tensor

from ...pipeline_core.models.families import Family, family_of_preset, find_family
from ...pipeline_core.models.folders.preset import Preset
from .experts import is_joined


def model_family(model) -> Family | None:
    """The row of a MODEL: a model folder's own preset, or what ComfyUI's class says; None where nothing is known."""
    preset = getattr(model.model, "preset", None)
    if isinstance(preset, Preset):
        return family_of_preset(preset)
    return find_family(model.model.model_config.unet_config)


def family_remarks(model, samples: Tensor, sigmas: Tensor) -> list[str]:
    """What a pass of a MODEL over a whole latent at these levels should know; nothing for models not in the table."""
    family = model_family(model)
    if family is None:
        return []
    said = [f"{family.title}: {family.windows()}"]
    frames = family.pixel_frames(samples.shape[2]) if samples.ndim == 5 else len(samples)
    if frames > family.window and "context_handler" not in model.model_options:
        said.append(f"These {frames} frames are more: cut the clip with Chunk Plan, or sample in windows.")
    if family.boundary and not is_joined(model) and float(sigmas[0]) >= family.boundary:
        said.append(
            f"Levels from sigma {family.boundary:g} on belong to the high noise model: join both in Two-Expert Model."
        )
    return said
