"""Presets of model folders as they are released, which bring no preset.json: read from what the folder states."""

from __future__ import annotations

from pathlib import Path

from ...doors import read_json
from ..families import FAMILIES
from ..folders.layout import branch_parts, read_index
from ..folders.preset import Preset
from ..networks.text import is_chat


def released_preset(folder: Path) -> Preset | None:
    """The preset of a released Cosmos-Transfer2.5 folder, None for any other.

    Window, size, steps, guidance and weights are the family's (see families.py); a branch that those do not name weighs
    as much as the lightest. The grid is the folder's own scheduler's. The state is a VE one: the network sees
    x / (1 + sigma) at t = sigma / (1 + sigma), so that ComfyUI's Karras scheduler and its samplers for VE step through
    the release's levels.
    """
    if not (folder / "model_index.json").is_file() or not is_chat(read_index(folder).get("text_encoder", [""])[-1]):
        return None
    low, high = _levels(folder / "scheduler" / "scheduler_config.json")
    family = FAMILIES["cosmos_transfer25"]
    lightest = min(family.control_weights.values())
    return Preset(
        name="cosmos-transfer2.5-2b",
        window=family.window,
        overlap=family.overlap,
        size=family.size,
        max_text_tokens=512,
        interpolant="ve",
        sigma_min=low,
        sigma_max=high,
        steps=family.steps,  # between the release's 36 levels; its 37th is 0
        cfg=family.cfg,
        prompt="a photorealistic dashcam video of a city street, filmed with a high-end camera in natural light",
        negative_prompt="a video game with simple graphics: flat shading, hard fake light, plain textures, coarse "
        "geometry, cartoon-like and pixelated frames, flicker",
        inversion_prompt="a rendered driving simulator video, flat shading",
        control_weights={name: family.control_weights.get(name, lightest) for name in branch_parts(folder)},
        maps=family.maps,
        given_time=0.1,
    )


def _levels(path: Path) -> tuple[float, float]:
    """(sigma_min, sigma_max) of a Karras grid of flow sigmas, as the scheduler of the release states them."""
    released = 0.01, 200.0
    if not path.is_file():
        return released
    values = read_json(path, "restore the model folder")
    if not (values.get("use_karras_sigmas") and values.get("use_flow_sigmas")):
        return released
    return tuple(float(values.get(name) or default) for name, default in zip(("sigma_min", "sigma_max"), released))
