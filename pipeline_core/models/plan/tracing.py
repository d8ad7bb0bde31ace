"""All costs of one release for one window, traced where they are not in the file that was traced before."""

from __future__ import annotations

from collections.abc import Callable

from .cost import Cost
from .counts import HELD, TILE, Costs, Held, defaults
from .networks import Studio, held_bytes
from .releases import Release
from .traces import COMPUTE, Step, branch_network, cells, decoding, encoding, reading


def trace(
    release: Release,
    size: tuple[int, int],
    frames: int,
    controls: int,
    tell: Callable[[str], None] = lambda _: None,
    studio: Studio | None = None,
) -> Costs:
    """Trace everything, which takes a minute or so; `tell` gets a word for every part that is begun.

    studio: what it has traced before is not traced again; releases share VAEs, text encoders and networks.
    """
    studio, shape = studio or Studio(), cells(release, size, frames)
    tile = tuple(min(side, TILE) for side in size)
    network = release.network, release.family.interpolant, shape
    vae = release.vae, release.vae_type, frames

    def step(count: int) -> Step:
        return Step(studio, release, shape, count)

    parts: dict[str, tuple[tuple, Callable[[], Cost]]] = {
        "one": ((*network, 1, controls), lambda: step(controls).inversion()),
        "fewer": ((*network, 1, controls - 1), lambda: step(controls - 1).inversion()),
        "two": ((*network, 2, controls), lambda: step(controls).guided(2.0)),
        "encode": (("encode", *vae, size), lambda: encoding(studio, release, size, frames)),
        "decode": (("decode", *vae, size), lambda: decoding(studio, release, size, frames)),
        "tile": (("decode", *vae, tile), lambda: decoding(studio, release, tile, frames)),
        "text": ((release.text,), lambda: reading(studio, release)),
    }
    if release.reads:
        del parts["text"]
    if not controls:
        del parts["fewer"]
    if tile == tuple(size):
        del parts["tile"]
    traced = dict.fromkeys(("fewer", "tile", "text"), Cost())
    for name, (key, run) in parts.items():
        if key not in studio.costs:
            tell(name)
            studio.costs[key] = run()
        traced[name] = studio.costs[key]
    held = {weights: _held(studio, release, weights) for weights in HELD}
    return Costs(release.name, tuple(size), frames, controls, **traced, held=held)


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
    """The costs of such a window, from counts.json where they are there, else traced."""
    known = defaults(release)
    if known is not None and (known.size, known.frames, known.controls) == (tuple(size), frames, controls):
        return known
    return trace(release, size, frames, controls, tell)
