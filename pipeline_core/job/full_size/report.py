"""The plan in words: what fits, what is streamed, which window and batch, how long, and what would help most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ...errors import UserError
from ...models.plan.cards import GIB, RESERVED, Card, find_card
from ...models.plan.counts import Costs, Held, defaults, scaled
from ...models.plan.releases import Release
from .arrange import STREAMED, TURNS, WHOLE, Arrangement, Job, best, shorter_window

# For comparing ways on a memory size that no card of the table has.
USUAL = Card("a card", 0, 100e12, 700e9)
CLEAR = 0.95  # what helps less than this is not worth a line


@dataclass(frozen=True)
class Planned:
    """A plan for a card's memory and the cards of the table that have it. way: None where nothing fits."""

    release: Release
    memory: float
    cards: list[Card]
    way: Arrangement | None
    costs: Costs
    job: Job
    help: str


def plan(
    release: Release,
    gpu: str,
    size: tuple[int, int] | None = None,
    frames: int | None = None,
    controls: int | None = None,
    cfg: float | None = None,
    steps: int | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Planned:
    """The plan for a release on a card (its name, or its memory such as "16GB"); the release's own where None.

    size: (height, width) in pixels. tell: gets a word for every part that is traced. UserError for a size that does not
    divide into the model's patches, and for what is out of range.
    """
    family = release.family
    memory, cards = find_card(gpu)
    size = size or release.size
    frames = family.window if frames is None else frames
    controls = release.controls if controls is None else controls
    job = Job(frames, family.cfg if cfg is None else cfg, family.steps if steps is None else steps)
    _check(release, size, frames, controls, job)
    from ...models.plan.tracing import costs_for  # brings torch's fake tensors along

    window = min(family.window, _legal(release, frames))
    costs = costs_for(release, size, window, controls, tell)
    card, room = (cards or [USUAL])[0], int(memory * GIB - RESERVED)
    way = best(release, costs, room, job, card)
    while way is None and (shorter := shorter_window(release, costs, room, job, card)) is not None:
        costs = costs_for(release, costs.size, shorter, costs.controls, tell)
        way = best(release, costs, room, job, card)
    return Planned(release, memory, cards, way, costs, job, _help(release, costs, room, job, card, way))


def own_plan(release: Release, memory: float, cards: list[Card]) -> Planned | None:
    """The plan at a release's own size and settings without tracing; None where counts.json does not have it."""
    costs = defaults(release)
    if costs is None:
        return None
    card, room = (cards or [USUAL])[0], int(memory * GIB - RESERVED)
    family = release.family
    job = Job(family.window, family.cfg, family.steps)
    way = best(release, costs, room, job, card)
    return Planned(release, memory, cards, way, costs, job, _help(release, costs, room, job, card, way))


def lines(planned: Planned) -> list[str]:
    """The plan, a line for each thing."""
    release, costs, job, way = planned.release, planned.costs, planned.job, planned.way
    height, width = costs.size
    maps = f"{costs.controls} control{'s' * (costs.controls != 1)}"
    head = f"{release.title}: {width}x{height}, {job.frames} frames, {maps}, cfg {job.cfg:g}, {job.steps} steps"
    head += f", {planned.memory:g} GB"
    if way is None:
        held = costs.held["fp8"]
        step = _gib(costs.one.peak + 2 * held.block)
        return [head, row("fits", f"nothing: one step needs {step} beside the weights"), row("try", planned.help)]
    held, window = costs.held[way.weights], costs.frames
    parts = [f"network {_gib(held.network)}"] + ["one of two at a time"] * (release.experts > 1)
    parts += [f"{maps} {_gib(costs.controls * held.branch)}"] * bool(held.branch and costs.controls)
    parts += [f"text encoder {_gib(held.text)}"] * (not release.reads) + [f"VAE {_gib(held.vae)}"]
    return [
        head,
        row("weights", f"{way.weights}: {', '.join(parts)}"),
        row("fits", _fits(release, way)),
        row("streamed", f"{_gib(way.streamed)} at every call" if way.streamed else "nothing"),
        row("main memory", f"{_gib(_all(costs, held, release))} of weights"),
        row("window", f"{window} frames" + (f", {way.windows} windows" if way.windows > 1 else "")),
        row("prompts", _prompts(release, way)),
        row("VAE", _vae(way, costs)),
        row("a step", f"{_gib((costs.two if way.together == 2 else costs.one).peak)} beside the weights, "
            f"{costs.one.flops / 1e15:.3g} PFLOP for each prompt"),
        row("time", _times(planned, way)),
        row("helps most", planned.help),
    ]  # fmt: skip


def _all(costs: Costs, held: Held, release: Release) -> int:
    """Bytes of everything that is loaded."""
    return release.experts * held.network + costs.controls * held.branch + held.text + held.vae


def row(name: str, text: str) -> str:
    """One line of the plan."""
    return f"  {name.ljust(12)}{text}"


def _fits(release: Release, way: Arrangement) -> str:
    parts = "VAE and network" if release.reads else "text encoder, VAE and network"
    peak = f"at most {_gib(way.peak)} at once, and about {_gib(int(RESERVED))} for the driver"
    return {
        WHOLE: f"everything stays on the card; {peak}",
        TURNS: f"{parts} take turns; {peak}",
        STREAMED: f"the network only in part; {peak}",
    }[way.placement]


def _prompts(release: Release, way: Arrangement) -> str:
    if way.job.conditions == 1:
        return "one (cfg 1)"
    if release.reads:
        return "one after the other, the network reads them itself"
    return "both in one batch" if way.together == 2 else "one after the other, which costs no time"


def _vae(way: Arrangement, costs: Costs) -> str:
    if not way.tiled:
        return f"whole, {_gib(max(costs.encode.peak, costs.decode.peak))} beside its weights"
    return f"tiled (VAE Encode and VAE Decode (Tiled), 512): whole it needs {_gib(costs.decode.peak)}"


def _times(planned: Planned, way: Arrangement) -> str:
    if not planned.cards:
        return f"{way.work.flops / 1e15:.4g} PFLOP, {way.work.swept / 1e12:.3g} TB swept"
    each = [f"{card.name} {minutes(way.seconds(card))}" for card in planned.cards]
    return f"{way.work.flops / 1e15:.4g} PFLOP, at least {'; '.join(each)}; expect up to twice that"


def minutes(seconds: float) -> str:
    """A time for people."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.3g} min" if seconds < 5400 else (
        f"{seconds / 3600:.3g} h"
    )  # fmt: skip


def _gib(count: int) -> str:
    return f"{count / GIB:.1f} GiB"


def _help(release: Release, costs: Costs, room: int, job: Job, card: Card, way: Arrangement | None) -> str:
    """The one change that saves the most time, or where nothing fits, one that makes it fit.

    A smaller picture comes last: it always helps, and is not what was asked for.
    """
    times = {
        name: changed.seconds(card)
        for name, new_costs, new_job in _changes(costs, job)
        if (changed := best(release, new_costs, room, new_job, card)) is not None
    }
    name = min(times, key=times.get, default=None)
    if way is not None and name is not None and times[name] < CLEAR * way.seconds(card):
        return f"{name}: {times[name] / way.seconds(card):.0%} of the time"
    multiple = release.family.multiple
    height, width = (side * 3 // 4 // multiple * multiple for side in costs.size)
    share = height * width / (costs.size[0] * costs.size[1])
    smaller = best(release, replace(scaled(costs, share), size=(height, width)), room, job, card) if share else None
    if smaller is None:
        return "a smaller size" if way is None else "none of the usual settings"
    if way is None:
        return f"{width}x{height} pixels, which should fit"
    return f"{width}x{height} pixels: about {smaller.seconds(card) / way.seconds(card):.0%} of the time"


def _changes(costs: Costs, job: Job) -> list[tuple[str, Costs, Job]]:
    """Settings that a user may change without another picture size: what to call them, and what they make of it."""
    changes = [("cfg 1", costs, replace(job, cfg=1.0))] if job.cfg != 1 else []
    if costs.controls > 1:
        fewer = replace(costs, one=costs.fewer, two=costs.fewer.times(2), controls=costs.controls - 1)
        changes.append(("one control less", fewer, job))
    return changes


def _legal(release: Release, frames: int) -> int:
    ratio = release.family.temporal_ratio
    return 1 + -(-(frames - 1) // ratio) * ratio


def _check(release: Release, size: tuple[int, int], frames: int, controls: int, job: Job) -> None:
    multiple = release.family.multiple
    if any(side < multiple or side % multiple or side > 8192 for side in size):
        raise UserError(f"size is {size[0]}x{size[1]}; give height x width in multiples of {multiple}, up to 8192.")
    if not 1 <= frames <= 100_000:
        raise UserError(f"frames is {frames}; give 1 to 100000.")
    if not 0 <= controls <= release.most_controls:
        raise UserError(f"controls is {controls}; {release.title} takes 0 to {release.most_controls}.")
    if not 0 <= job.cfg <= 50:
        raise UserError(f"cfg is {job.cfg:g}; give 0 to 50.")
    if not 1 <= job.steps <= 1000:
        raise UserError(f"steps is {job.steps}; give 1 to 1000.")
