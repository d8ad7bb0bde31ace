"""The settings a model folder brings along: window, grid, prompts, strength, control weights (preset.json)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from ..errors import UserError
from .prediction import PREDICTIONS


@dataclass(frozen=True)
class Preset:
    """Defaults of one model; everything a job leaves out comes from here.

    window: pixel frames of one pass. size: (height, width) in pixels the model was trained at.
    temporal_ratio, spatial_ratio: pixel frames and pixels per latent cell. max_text_tokens: prompt length.
    prediction: what the network answers, "flow" or "edm" (see prediction.py).
    interpolant: "ve" or "flow", the state the sampler steps; sigma_min, sigma_max, rho: the Karras grid in VE
    units (a flow sampler gets the same levels as sigma / (1 + sigma)).
    control_weights: modality -> weight before the w / max(1, sum w) rule.
    given_time: flow time at which the network is shown frames that are given, None: it takes none.
    """

    name: str = "embedded"
    window: int = 17
    overlap: int = 5
    size: tuple[int, int] = (96, 160)
    temporal_ratio: int = 4
    spatial_ratio: int = 8
    max_text_tokens: int = 64
    prediction: str = "flow"
    interpolant: str = "ve"
    sigma_min: float = 0.02
    sigma_max: float = 80.0
    rho: float = 7.0
    steps: int = 20
    start: str = "inversion"
    strength: float = 1.0
    cfg: float = 1.0
    prompt: str = "a photorealistic dashcam video, on a clear sunny day"
    negative_prompt: str = ""
    inversion_prompt: str = "a synthetic driving simulator render, flat shading"
    control_weights: dict[str, float] = field(default_factory=lambda: {"edge": 1.0, "depth": 1.0, "segmentation": 1.0})
    given_time: float | None = None


def read_preset(folder: Path) -> Preset:
    """Preset of a model folder; a released one without preset.json has its own (see released.py).

    UserError when preset.json is missing, not JSON or names an unknown setting.
    """
    from .released import released_preset

    path = Path(folder) / "preset.json"
    if not path.is_file():
        if (released := released_preset(Path(folder))) is not None:
            return released
        raise UserError(f"{folder} has no preset.json; choose a model folder that was prepared for this pack.")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}); restore the file that came with the model.") from error
    unknown = sorted(set(values) - {f.name for f in fields(Preset)})
    if unknown:
        raise UserError(f"{path} names the unknown setting {unknown[0]!r}; remove it from the preset.")
    if "size" in values:
        values["size"] = tuple(values["size"])
    preset = Preset(**values)
    if preset.prediction not in PREDICTIONS:
        known = " or ".join(PREDICTIONS)
        raise UserError(f"{path} says prediction {preset.prediction!r}; write {known} there.")
    return preset


def read_latent_rgb(folder: Path) -> tuple[list[list[float]], list[float]] | None:
    """(factors (C, 3), bias (3,)) with factors^T z + bias = 2 rgb - 1 for quick previews of latents, or None.

    From latent_rgb.json, which a folder may do without. UserError when it is there and unreadable.
    """
    path = Path(folder) / "latent_rgb.json"
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return values["factors"], values["bias"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not an object with factors and bias ({error}); restore or remove it.") from error


def write_preset(preset: Preset, folder: Path) -> None:
    """Write preset.json into `folder`, which must exist."""
    (Path(folder) / "preset.json").write_text(json.dumps(asdict(preset), indent=2) + "\n", encoding="utf-8")
