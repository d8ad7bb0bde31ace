"""All costs of one release for one window, traced where they are not in the file that was traced before."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .cost import Cost
from .counts import HELD, TILE, Costs, Held, defaults
from .networks import Studio, held_bytes
from .releases import RELEASES, Release
from .traces import COMPUTE, Step, branch_network, cells, decoding, encoding, reading


def trace(
    release: Release,
    size: tuple[int, int],
    frames: int,
    controls: int,
    tell: Callable[[str], None] = lambda _: None,
    studio: Studio | None = None,
    held: Mapping[str, Held] | None = None,
) -> Costs:
    """Trace everything, which takes a minute or so; `tell` gets a word for every part that is begun.

    studio: what it has traced before is not traced again; releases share VAEs, text encoders and networks. held: the
    weights as they rest, where they are known.
    """
    studio, size, shape = studio or Studio(), tuple(size), cells(release, size, frames)
    tile = _tile(size)

    def step(count: int) -> Step:
        return Step(studio, release, shape, count)

    runs: dict[str, Callable[[], Cost]] = {
        "one": lambda: step(controls).inversion(),
        "fewer": lambda: step(controls - 1).inversion(),
        "two": lambda: step(controls).guided(2.0),
        "encode": lambda: encoding(studio, release, size, frames),
        "decode": lambda: decoding(studio, release, size, frames),
        "tile": lambda: decoding(studio, release, tile, frames),
        "text": lambda: reading(studio, release),
    }
    traced = dict.fromkeys(runs, Cost())
    for name, key in _keys(release, size, frames, controls).items():
        if key not in studio.costs:
            tell(name)
            studio.costs[key] = runs[name]()
        traced[name] = studio.costs[key]
    held = held or {weights: _held(studio, release, weights) for weights in HELD}
    return Costs(release.name, size, frames, controls, **traced, held=held)


def _keys(release: Release, size: tuple[int, int], frames: int, controls: int) -> dict[str, tuple]:
    """By what a studio knows each part of such a window again, of those that it has."""
    network = release.network, release.family.interpolant, cells(release, size, frames)
    vae = release.vae, release.vae_type, frames
    keys = {"one": (*network, 1, controls), "two": (*network, 2, controls)}
    keys |= {"fewer": (*network, 1, controls - 1)} if controls else {}
    keys |= {"encode": ("encode", *vae, size), "decode": ("decode", *vae, size)}
    keys |= {"tile": ("decode", *vae, _tile(size))} if _tile(size) != size else {}
    return keys if release.reads else keys | {"text": (release.text,)}


def _tile(size: tuple[int, int]) -> tuple[int, int]:
    return tuple(min(side, TILE) for side in size)


def _known() -> dict[tuple, Cost]:
    """What counts.json holds of all releases, as a studio would know it."""
    costs: dict[tuple, Cost] = {}
    for release in RELEASES.values():
        if (stored := defaults(release)) is not None:
            keys = _keys(release, stored.size, stored.frames, stored.controls)
            costs |= {key: getattr(stored, name) for name, key in keys.items()}
    return costs


def _held(studio: Studio, release: Release, weights: str) -> Held:
    network, block = held_bytes(studio.network(release.network, COMPUTE), weights, release.folder)
    branch, branch_block = (
        held_bytes(branch_network(studio, release), weights, release.folder) if release.branch else (0, 0)
    )
    vae = held_bytes(studio.network(release.vae, COMPUTE), release.vae_type, release.folder)[0]
    text = 0 if release.reads else held_bytes(studio.network(release.text, COMPUTE), weights, release.folder)[0]
    return Held(network, branch, vae, text, max(block, branch_block))


def costs_for(
    release: Release, size: tuple[int, int], frames: int, controls: int, tell: Callable[[str], None] = lambda _: None
) -> Costs:
    """The costs of such a window: what is in counts.json from there, the rest traced.

    With another number of controls at the release's own size that is two steps of the network, and nothing of the VAE
    or the text encoder.
    """
    known, studio = defaults(release), Studio()
    studio.costs |= _known()
    return trace(release, size, frames, controls, tell, studio, known and known.held)
