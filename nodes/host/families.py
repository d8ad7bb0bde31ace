"""Which family of the table a connected MODEL belongs to, and what a pass of it should know."""

from __future__ import annotations

import comfy.model_management
import torch
from torch import Tensor

from ...pipeline_core.errors import UserError
from ...pipeline_core.job.full_size.report import lines, own_plan
from ...pipeline_core.models.families import Family, family_of_preset, find_family
from ...pipeline_core.models.folders.preset import Preset
from ...pipeline_core.models.plan.cards import GIB, Card, find_card
from ...pipeline_core.models.plan.counts import release_of
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


def card_plan(model, family: Family) -> list[str]:
    """What a release needs on the card at hand, as the command `plan` says it; nothing for other models and CPUs."""
    weights = sum(weight.numel() for weight in model.model.diffusion_model.parameters())
    # A model folder's preset has a name of its own.
    name = "cosmos_transfer25" if family.maps == "cosmos_transfer25" else family.name
    release, card = release_of(name, weights), card_at_hand()
    if release is None or card is None:
        return []
    return lines(own_plan(release, *card))


def card_at_hand() -> tuple[float, list[Card]] | None:
    """(GiB, what the table knows of it) of the device ComfyUI computes on; None for a CPU."""
    device = comfy.model_management.get_torch_device()
    if device.type in ("cpu", "mps"):
        return None
    memory = comfy.model_management.get_total_memory(device) / GIB
    try:
        known = find_card(torch.cuda.get_device_name(device))[1] if device.type == "cuda" else []
    except UserError:
        known = []
    return round(memory, 1), known
