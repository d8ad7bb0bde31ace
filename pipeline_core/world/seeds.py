"""Scenes from seeds: version 1 is a straight street of any length, version 2 a town round a closed, curved one.

A seed and a version give the same scene on every machine: Python's Mersenne Twister makes all choices, and positions
are double arithmetic (the leaning faces of cars, float32). Pixels agree to rounding, as PyTorch's differ between
processors.
"""

from ..errors import UserError
from .scene import AREAS, Scene, make_street
from .town.scene import MAP_SIZES, Town, make_town

VERSIONS = (1, 2)
LENGTH = 240.0  # metres of a version 1 street
FASTEST, REACH = 5.0, 130.0  # m/s a version 1 ego never exceeds; metres of street the camera sees ahead


def make_scene(
    seed: int,
    fps: float = 24.0,
    length: float | None = None,
    area: str | None = None,
    version: int = 1,
    map_size: str | None = None,
) -> Scene | Town:
    """The scene of a seed.

    fps: frames per second (affects motion per frame only); area: one of AREAS, or None for the seed's own choice.
    version: 1, the default, is the straight street that seeds always meant; 2 is a town with bends, roundabouts,
    slopes, walking people and cyclists. length: of version 1, metres of street laid out ahead of the start (240), so a
    drive of T frames needs about speed * T / fps + 130. map_size: of version 2, "small" (the default, a round of some
    600 m) or "large" (some 1500 m); a drive goes round and round, so any length fits. UserError for anything else.
    """
    if area is not None and area not in AREAS:
        raise UserError(f"area is {area!r} but must be one of {', '.join(AREAS)}: change area.")
    if version not in VERSIONS:
        raise UserError(f"version is {version!r} but must be 1 (a street) or 2 (a town): change version.")
    if not fps > 0 or not (length is None or length > 0):
        raise UserError(f"fps is {fps} and length is {length} m but both must be positive: change fps or length.")
    if version == 1:
        if map_size is not None:
            raise UserError(f"map_size is {map_size!r} but only version 2 has maps: change version, or leave map_size.")
        return make_street(seed, fps, LENGTH if length is None else length, area)
    if length is not None:
        raise UserError(f"length is {length} m but a town (version 2) has no end: leave length, or change version.")
    if map_size not in (None, *MAP_SIZES):
        raise UserError(f"map_size is {map_size!r} but must be one of {', '.join(MAP_SIZES)}: change map_size.")
    return make_town(seed, fps, area, map_size or "small")


def drive_scene(seed: int, frames: int, fps: float = 24.0, version: int = 1) -> Scene | Town:
    """The scene of a seed with street enough for a drive of `frames` frames at `fps`."""
    if version != 1:
        return make_scene(seed, fps=fps, version=version)
    driven = FASTEST * frames / fps if fps > 0 else 0.0  # make_scene refuses the rate in its own words
    return make_scene(seed, fps=fps, length=driven + REACH)
