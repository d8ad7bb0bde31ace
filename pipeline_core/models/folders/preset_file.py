"""preset.json and latent_rgb.json of a model folder, read and written."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path

from ...conditions.conventions import CONVENTIONS
from ...doors import read_json
from ...doors.limits import SIDE
from ...errors import UserError, shown
from ...video.files import write_text
from ..networks.prediction import PREDICTIONS
from ..released import cosmos3, transfer25
from .preset import Preset

INTERPOLANTS = ("ve", "flow")
# Whole numbers where the bounds are whole; what stands here for no field is a text.
RANGES = {
    "window": (1, 4097),
    "overlap": (0, 4096),
    "temporal_ratio": (1, 64),
    "spatial_ratio": (1, 64),
    "max_text_tokens": (1, 8192),
    "sigma_min": (1e-6, 1e5),
    "sigma_max": (1e-6, 1e5),
    "rho": (0.1, 100.0),
    "steps": (1, 1000),
    "strength": (1e-3, 1.0),
    "cfg": (0.0, 50.0),
    "control_guidance": (0.0, 10.0),
    "given_time": (0.0, 1.0),
    "video_scale": (0.0, 30.0),
}


def read_preset(folder: Path) -> Preset:
    """Preset of a model folder; a released one without preset.json has its own (see models/released).

    UserError when preset.json is missing, not JSON or names an unknown setting, prediction or interpolant.
    """
    path = Path(folder) / "preset.json"
    if not path.is_file():
        for release in (transfer25, cosmos3):
            if (released := release.released_preset(Path(folder))) is not None:
                return released
        raise UserError(f"{folder} has no preset.json; choose a model folder that was prepared for this pack.")
    values = read_json(path, "restore the file that came with the model")
    unknown = sorted(set(values) - {f.name for f in fields(Preset)})
    if unknown:
        raise UserError(f"{path} names the unknown setting {unknown[0]!r}; remove it from the preset.")
    check_preset(values, path)
    if "size" in values:
        values["size"] = tuple(values["size"])
    preset = Preset(**values)
    for name, known in (("prediction", PREDICTIONS), ("interpolant", INTERPOLANTS), ("maps", CONVENTIONS)):
        if (value := getattr(preset, name)) not in known:
            raise UserError(f"{path} says {name} {value!r}; write {' or '.join(known)} there.")
    if preset.overlap >= preset.window:
        raise UserError(f"{path} says overlap {preset.overlap} of window {preset.window}; write a smaller one there.")
    if preset.sigma_min >= preset.sigma_max:
        raise UserError(f"{path} says sigma_min {preset.sigma_min}; write one below sigma_max there.")
    return preset


def check_preset(values: dict, path: Path) -> None:
    """UserError for a value of another kind than the field of `Preset` takes, or out of range."""
    for name, value in values.items():
        low, high = RANGES.get(name, (None, None))
        if name == "control_weights":
            sound = isinstance(value, dict) and all(_in(weight, 0, 10) for weight in value.values())
            needed = "weights from 0 to 10"
        elif name == "size":
            pair = isinstance(value, list) and len(value) == 2
            sound, needed = pair and all(type(n) is int and _in(n, *SIDE) for n in value), "[height, width] in pixels"
        elif low is None:
            sound, needed = isinstance(value, str), "a text"
        elif isinstance(low, int):
            sound, needed = type(value) is int and _in(value, low, high), f"a whole number from {low} to {high}"
        else:
            absent = name in ("given_time", "video_scale") and value is None
            sound, needed = absent or _in(value, low, high), f"a number from {low:g} to {high:g}"
        if not sound:
            raise UserError(f"{path} says {name} {shown(value)}; write {needed} there.")


def _in(value, low: float, high: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high


def read_latent_rgb(folder: Path) -> tuple[list[list[float]], list[float]] | None:
    """(factors (C, 3), bias (3,)) with factors^T z + bias = 2 rgb - 1 for quick previews of latents, or None.

    From latent_rgb.json, which a folder may do without. UserError when it is there and unreadable.
    """
    path = Path(folder) / "latent_rgb.json"
    if not path.is_file():
        return None
    values = read_json(path, "restore or remove it")
    factors, bias = values.get("factors"), values.get("bias")
    rows = [*factors, bias] if isinstance(factors, list) and factors else [None]
    if not all(isinstance(row, list) and len(row) == 3 and all(_in(v, -1e6, 1e6) for v in row) for row in rows):
        raise UserError(f"{path} is not an object with factors and bias; restore or remove it.")
    return factors, bias


def write_preset(preset: Preset, folder: Path) -> None:
    """Write preset.json into `folder`, which must exist."""
    write_text(Path(folder) / "preset.json", json.dumps(asdict(preset), indent=2) + "\n")
