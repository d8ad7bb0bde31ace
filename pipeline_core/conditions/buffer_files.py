"""What buffers.json and lights.json of a buffers folder must say; anything else is refused."""

from __future__ import annotations

from pathlib import Path

from ..errors import UserError

VERSION = 1
CHANNELS = ("depth", "semantic", "instance", "flow")
LIGHT_FIELDS = {"state": None, "box": None, "lamp_box": None, "visible": 0.0}
AGAIN = "render the buffers again"  # what to do about a damaged file


def check_manifest(manifest: dict, path: Path) -> None:
    """UserError unless the manifest is of this version, its sizes are counts and its channels known ones."""
    channels = manifest.get("channels")
    counts = all(type(manifest.get(name)) is int and manifest[name] > 0 for name in ("frames", "height", "width"))
    known = isinstance(channels, list) and all(name in CHANNELS for name in channels) and len(channels) > 0
    if manifest.get("version") != VERSION or not counts or not known or len(set(channels)) < len(channels):
        raise UserError(f"{path} is of another version or damaged: {AGAIN}.")


def check_lights(lights: list, frames: int, path: Path) -> None:
    """UserError unless every light has its number and, for each frame, a state, two boxes and a visible share."""
    for light in lights:
        sound = isinstance(light, dict) and type(light.get("instance")) is int
        sound = sound and all(_is_series(light.get(name), frames) for name in LIGHT_FIELDS)
        if not (
            sound
            and all(state is None or isinstance(state, str) for state in light["state"])
            and all(map(_is_box, light["box"] + light["lamp_box"]))
            and all(_is_number(share) for share in light["visible"])
        ):
            raise UserError(f"{path} is damaged: {AGAIN}.")


def _is_series(values, frames: int) -> bool:
    return isinstance(values, list) and len(values) == frames


def _is_box(box) -> bool:
    return box is None or (isinstance(box, list) and len(box) == 4 and all(map(_is_number, box)))


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**31  # NaN is not
