"""How a clip is best made on a card: which weights, what takes turns or is streamed, which window, what it takes.

Rules, in this order: the whole window before a shorter one; bf16 before fp8, unless fp8 saves a tenth of the time or
is what makes it fit, because it rounds the weights; everything on the card before turns before streaming; all
conditions in one batch before one after the other, which is the same arithmetic in less memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ...longvideo.plan import plan_windows
from ...models.plan.cards import BUS, Card
from ...models.plan.cost import Cost
from ...models.plan.counts import HELD, TILE, TILE_STEP, Costs, scaled
from ...models.plan.releases import Release

PLACEMENTS = WHOLE, TURNS, STREAMED = "whole", "turns", "streamed"
WORTH = 0.9  # what is worse otherwise is taken where it brings the time below this share
SHORTEST = 4  # latent frames after the first of a window that is still worth walking


@dataclass(frozen=True)
class Job:
    """What is to be made: frames of a clip, the guidance, the steps of each pass."""

    frames: int
    cfg: float
    steps: int

    @property
    def conditions(self) -> int:
        return 1 if self.cfg == 1 else 2


@dataclass(frozen=True)
class Arrangement:
    """One way to do it. placement: WHOLE (all weights on the card), TURNS (text encoder, VAE and network one after the
    other) or STREAMED (`streamed` bytes of the network come from main memory at every call). together: conditions in a
    batch. tiled: whether the VAE works by tiles. stages: peak bytes while text is read, frames are coded, steps are
    made. work: of the whole clip; calls: of the network; loads: bytes that go to the card once or once a window."""

    costs: Costs
    job: Job
    weights: str
    placement: str
    together: int
    tiled: bool
    windows: int
    stages: dict[str, int]
    streamed: int
    work: Cost
    calls: int
    loads: int

    @property
    def peak(self) -> int:
        return max(self.stages.values())

    def seconds(self, card: Card) -> float:
        """The least time on a card: arithmetic and sweeps at its published rates, what is streamed behind them."""
        working = self.work.flops / card.rate + self.work.swept / card.bandwidth
        return max(working, self.calls * self.streamed / BUS) + self.loads / BUS


def windows_of(release: Release, frames: int, window: int) -> int:
    """How many windows of `window` frames a clip takes, at the family's own overlap."""
    family = release.family
    overlap = min(family.overlap, max(0, window - family.temporal_ratio))
    return len(plan_windows(frames, window, overlap, family.temporal_ratio))


def arrangements(release: Release, costs: Costs, room: int, job: Job) -> Iterator[Arrangement]:
    """All that fit into `room` bytes with windows of these costs, for either type of weights and either batching."""
    count = windows_of(release, job.frames, costs.frames)
    for weights in HELD:
        held = costs.held[weights]
        network = held.network + costs.controls * held.branch
        tiled, frames_peak, coding = _coding(costs, held.vae, room)
        text_peak = held.text + costs.text.peak
        for together in [job.conditions] if release.reads else sorted({job.conditions, 1}, reverse=True):
            step = costs.two if together == 2 else costs.one
            spent = step.peak + kept_bytes(release, costs) + (together < job.conditions) * latent_bytes(release, costs)
            stages = {"text": text_peak, "frames": frames_peak, "steps": network + spent}
            everything = network + held.text + held.vae + max(spent, costs.text.peak, frames_peak - held.vae)
            streamed = 0
            if everything <= room:
                placement = WHOLE
                stages = dict.fromkeys(stages, everything)
            elif stages["steps"] <= room:
                placement = TURNS
            elif spent + 2 * held.block <= room:
                # ComfyUI leaves in main memory what does not fit; this pack's own loader brings every layer.
                placement, streamed = STREAMED, network if release.folder else stages["steps"] - room
                stages["steps"] = room if not release.folder else spent + 2 * held.block
            else:
                continue
            # A text encoder that is too large is brought layer by layer.
            stages["text"] = min(stages["text"], room)
            if stages["frames"] > room:
                continue
            calls = (
                count * job.steps * (_calls(release, costs, 1, 1) + _calls(release, costs, job.conditions, together))
            )
            a_pass = costs.one + (step if together == job.conditions else costs.one.times(2))
            hints = coding[0].times(costs.controls) if release.hint != 3 else Cost()
            window = a_pass.times(job.steps) + hints + coding[0] + coding[1]
            work = window.times(count) + costs.text.times(1 + job.conditions)
            loads = held.text + (network * (not streamed) + held.vae) * (count if placement != WHOLE else 1)
            loads *= release.experts
            yield Arrangement(
                costs, job, weights, placement, together, tiled, count, stages, streamed, work, calls, loads
            )  # fmt: skip


def _calls(release: Release, costs: Costs, conditions: int, together: int) -> int:
    """How often a step calls the network."""
    return conditions + (costs.controls > 0) if release.reads else conditions // together


def best(release: Release, costs: Costs, room: int, job: Job, card: Card) -> Arrangement | None:
    """The arrangement of a window of these costs by the rules above; None where none fits."""
    chosen: dict[str, Arrangement] = {}
    fitting = arrangements(release, costs, room, job)
    for each in sorted(fitting, key=lambda way: (PLACEMENTS.index(way.placement), -way.together)):
        now = chosen.get(each.weights)
        if now is None or each.seconds(card) < WORTH * now.seconds(card):
            chosen[each.weights] = each
    wide, narrow = (chosen.get(weights) for weights in HELD)
    if wide is None or narrow is None:
        return wide or narrow
    return narrow if narrow.seconds(card) < WORTH * wide.seconds(card) else wide


def shorter_window(release: Release, costs: Costs, room: int, job: Job, card: Card) -> int | None:
    """The longest window, in frames, that should fit where this one does not, by its share of the tokens."""
    ratio = release.family.temporal_ratio
    for frames in range(costs.frames - ratio, SHORTEST * ratio, -ratio):
        share = _latent(release, frames) / _latent(release, costs.frames)
        if best(release, replace(scaled(costs, share), frames=frames), room, job, card) is not None:
            return frames
    return None


def _latent(release: Release, frames: int) -> int:
    return 1 + (frames - 1) // release.family.temporal_ratio


def _coding(costs: Costs, vae: int, room: int) -> tuple[bool, int, tuple[Cost, Cost]]:
    """(tiled or not, peak bytes, (encode, decode)) of a window's frames in this much memory."""
    whole = vae + max(costs.encode.peak, costs.decode.peak)
    if whole <= room or not costs.tile.flops:
        return False, whole, (costs.encode, costs.decode)
    tiles = 1
    for side in costs.size:
        tiles *= 1 if side <= TILE else 1 + -(-(side - TILE) // TILE_STEP)
    # An encoder's tile is to its whole as the decoder's.
    share = costs.tile.flops / costs.decode.flops
    encode = scaled(costs, share).encode
    return True, vae + max(encode.peak, costs.tile.peak), (encode.times(tiles), costs.tile.times(tiles))


def latent_bytes(release: Release, costs: Costs) -> int:
    """Of one clean prediction, in 32 bits."""
    height, width = (side // release.family.spatial_ratio for side in costs.size)
    return 4 * release.family.channels * _latent(release, costs.frames) * height * width


def kept_bytes(release: Release, costs: Costs) -> int:
    """What stands on the card between steps: state and noise in 64 bits, prompts and hints in 32.

    This pack keeps the three prompts of a model folder in the network's own type as well.
    """
    latent = latent_bytes(release, costs)
    height, width = (side // (1 if release.hint == 3 else release.family.spatial_ratio) for side in costs.size)
    hint = 4 * release.hint * _latent(release, costs.frames) * height * width
    return 2 * 2 * latent + costs.controls * hint + 3 * (6 if release.folder else 4) * release.tokens * release.width
