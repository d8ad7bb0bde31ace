"""All costs of one release for one window, and the file that holds them for every release's own.

counts.json holds them for every release at its own size, window and controls, so that a node or a command that asks for
just that need not trace. `python scripts/make_plan.py` writes it; a test traces again and compares.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

from ..networks.coder import OVERLAP, SIDES
from .cost import Cost
from .releases import RELEASES, Release

COUNTS = Path(__file__).with_name("counts.json")
TILE, TILE_STEP = SIDES[0], SIDES[0] - OVERLAP  # pixels of a VAE tile's side, and from one tile to the next
HELD = ("bf16", "fp8")
SAME = 0.05  # two networks of one family are the same release within this share of their weights


@dataclass(frozen=True)
class Held:
    """Bytes of weights as they rest: the network of a step, each branch, the VAE, the text encoder, and the largest
    block of the network and its branches, which is what streaming moves."""

    network: int
    branch: int
    vae: int
    text: int
    block: int


@dataclass(frozen=True)
class Costs:
    """One window of `frames` frames of `size` (height, width) pixels under `controls` maps.

    one: a step of one condition; fewer: the same with one map less; two: of two conditions in one batch. encode,
    decode: the window through the VAE whole; tile: one tile of TILE pixels decoded (0 where the window is no larger).
    text: a prompt read. held: the weights, by HELD.
    """

    release: str
    size: tuple[int, int]
    frames: int
    controls: int
    one: Cost
    fewer: Cost
    two: Cost
    encode: Cost
    decode: Cost
    tile: Cost
    text: Cost
    held: Mapping[str, Held]


def defaults(release: Release) -> Costs | None:
    """What counts.json holds of a release: its own size, window and controls."""
    return _stored().get(release.name)


def release_of(family: str, weights: int) -> Release | None:
    """The release of a family whose network has about so many weights; None for one of another size."""
    for release in RELEASES.values():
        known = defaults(release)
        if known is None or release.family.name != family:
            continue
        network = known.held["bf16"].network
        if abs(2 * weights - network) < SAME * network:
            return release
    return None


@lru_cache(maxsize=1)
def _stored() -> dict[str, Costs]:
    return {name: _read(name, values) for name, values in json.loads(COUNTS.read_text(encoding="utf-8")).items()}


def _read(name: str, values: dict) -> Costs:
    parts = {key: Cost(**value) for key, value in values["parts"].items()}
    held = {key: Held(**value) for key, value in values["held"].items()}
    height, width = values["size"]
    return Costs(name, (height, width), values["frames"], values["controls"], **parts, held=held)


def as_json(costs: Costs) -> dict:
    """What `defaults` reads back."""
    parts = {name: asdict(value) for name, value in vars(costs).items() if isinstance(value, Cost)}
    held = {name: asdict(value) for name, value in costs.held.items()}
    return {"size": list(costs.size), "frames": costs.frames, "controls": costs.controls, "parts": parts, "held": held}


def scaled(costs: Costs, share: float) -> Costs:
    """About the costs of a window with `share` of the tokens: attention grows with their square, the rest with them.

    Not a trace: for saying what a smaller window would bring, and which one to trace.
    """

    def cost(full: Cost) -> Cost:
        linear = (full.flops - full.attention) * share
        rest = {name: int(getattr(full, name) * share) for name in ("moved", "swept", "peak")}
        return replace(
            full, flops=int(linear + full.attention * share**2), attention=int(full.attention * share**2), **rest
        )

    parts = {name: cost(value) for name, value in vars(costs).items() if isinstance(value, Cost) and name != "text"}
    return replace(costs, **parts)
