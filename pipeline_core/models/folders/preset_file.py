"""preset.json and latent_rgb.json of a model folder, read and written."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path

from ...conditions.conventions import CONVENTIONS
from ...errors import UserError
from ...video.files import write_text
from ..networks.prediction import PREDICTIONS
from ..released.transfer25 import released_preset
from .preset import Preset

INTERPOLANTS = ("ve", "flow")


def read_preset(folder: Path) -> Preset:
    """Preset of a model folder; a released one without preset.json has its own (see released.py).

    UserError when preset.json is missing, not JSON or names an unknown setting, prediction or interpolant.
    """
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
    for name, known in (("prediction", PREDICTIONS), ("interpolant", INTERPOLANTS), ("maps", CONVENTIONS)):
        if (value := getattr(preset, name)) not in known:
            raise UserError(f"{path} says {name} {value!r}; write {' or '.join(known)} there.")
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
    write_text(Path(folder) / "preset.json", json.dumps(asdict(preset), indent=2) + "\n")
