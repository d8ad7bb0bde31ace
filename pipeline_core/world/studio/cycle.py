"""A motion as functions of time: angles between keys, and the body carried so that what touches the ground stands.

The hips are so high that the lowest sole or finger touches; in flight they follow a parabola. The body travels the way
its standing points push it, so that feet stand but for some centimetres where one takes over from the other.
"""

from dataclasses import dataclass
from functools import cached_property
from math import pi

import torch
from torch import Tensor

from .motions import WHOLE, Motion
from .skeleton import ANGLES, AT, CONTACTS, SIDE_ANGLES, SIDES, about_x, about_y, about_z, pose

GRAVITY = 9.81
SAMPLES = 240  # of a period, on which the travel is integrated
SMOOTH = 15  # samples over which the speed is averaged
TOUCHES = 0.015  # metres above the lowest point within which others carry too


@dataclass(frozen=True, eq=False)
class Cycle:
    """A motion of a body of `height` metres, `pace` times as fast as its table, begun at `phase` of its period."""

    motion: Motion
    height: float
    pace: float = 1.0
    phase: float = 0.0

    def at(self, seconds: Tensor) -> tuple[Tensor, Tensor]:
        """Places (F, J, 3) of the joints and rotations (F, S, 3, 3) of the segments at F times.

        In a frame that stands on the ground where the body was at time 0, z the way it faced; float64.
        """
        share = seconds.double() * self.pace / self.motion.period + self.phase
        joints, turned = self._posed(share)
        begun = torch.tensor([float(self.phase)], dtype=torch.float64)
        carried = self._carried(share) - self._carried(begun) * torch.tensor([1.0, 0.0, 1.0])
        return joints + carried[:, None], turned

    def angles(self, share: Tensor) -> dict[str, Tensor]:
        """(F,) radians by name, at shares of the period that go on beyond 1."""
        return {name: curve(share) for name, curve in self._curves.items()}

    @cached_property
    def _curves(self) -> dict:
        names = {name for key in self.motion.keys.values() for name in key}
        sided = [f"{side}_{name}" for side in SIDES for name in SIDE_ANGLES]
        wanted = [*ANGLES, *WHOLE, *(name for name in sided if name in names or name.partition("_")[2] in names)]
        return {name: _curve(self.motion, name) for name in wanted if name in names or "_" in name}

    def _posed(self, share: Tensor) -> tuple[Tensor, Tensor]:
        """Joints and segments from the hips, turned as a whole."""
        angles = self.angles(share)
        joints, turned = pose(angles, self.height)
        zero = torch.zeros_like(share)
        spin, roll, somersault = (angles.get(name, zero) for name in ("spin", "roll", "somersault"))
        whole = about_y(spin) @ about_z(-roll) @ about_x(-somersault)
        return joints @ whole.mT, whole[:, None] @ turned

    def _carried(self, share: Tensor) -> Tensor:
        """(F, 3): where the hips are."""
        cycles, rest = share.floor(), share - share.floor()
        table = self._table
        place = rest * SAMPLES
        low = place.floor().long().clamp(0, SAMPLES - 1)
        travel = table[low] + (place - low)[:, None] * (table[low + 1] - table[low]) + cycles[:, None] * table[-1]
        return torch.stack([travel[:, 0], self._hips(share), travel[:, 1]], -1)

    def _hips(self, share: Tensor) -> Tensor:
        """(F,): height of the hips."""
        height, rest = self._support(share), share - share.floor()
        for begin, end in self.motion.flights:
            ends = torch.tensor([begin, end], dtype=torch.float64)
            low, high = self._support(ends)
            u = (rest - begin) / (end - begin)
            seconds = (end - begin) * self.motion.period / self.pace
            flown = low + u * (high - low) + 0.5 * GRAVITY * seconds**2 * u * (1 - u)
            height = torch.where((u > 0) & (u < 1), flown, height)
        return height

    def _support(self, share: Tensor) -> Tensor:
        return -self._posed(share)[0][:, _TOUCHING, 1].amin(-1)

    @cached_property
    def _table(self) -> Tensor:
        """(SAMPLES + 1, 2): x and z travelled since the period began."""
        share = torch.arange(SAMPLES + 1, dtype=torch.float64) / SAMPLES
        points = self._posed(share)[0][:, _TOUCHING]
        bearing = (points[..., 1] - points[..., 1].amin(-1, keepdim=True) < TOUCHES).double()[:-1, :, None]
        steps = -(bearing * points.diff(dim=0)[..., [0, 2]]).sum(1) / bearing.sum(1)
        flying = torch.zeros(SAMPLES, dtype=torch.bool)
        for begin, end in self.motion.flights:
            flying |= (share[:-1] >= begin) & (share[:-1] < end)
        # In flight it goes on as fast as it was pushed on the whole.
        steps[flying] = steps[~flying].mean(0) if self.motion.leaps else 0.0
        # A body does not change its speed at once when another foot takes over.
        smooth = torch.hann_window(SMOOTH + 2, periodic=False, dtype=torch.float64)[1:-1]
        around = torch.cat([steps[-(SMOOTH // 2) :], steps, steps[: SMOOTH // 2]])
        steps = (around.unfold(0, SMOOTH, 1) * smooth / smooth.sum()).sum(-1)
        return torch.cat([torch.zeros(1, 2, dtype=torch.float64), steps.cumsum(0)])


_TOUCHING = [AT[name] for name in CONTACTS]


def _curve(motion: Motion, name: str):
    """The monotone cubic through an angle's keys, periodic up to its whole turns (Fritsch & Carlson 1980)."""
    plain = name.partition("_")[2] if name.partition("_")[0] in SIDES else name
    pairs = [(share, key.get(name, key.get(plain))) for share, key in sorted(motion.keys.items())]
    pairs = [(share, value * pi / 180) for share, value in pairs if value is not None]
    gain = 0.0
    if pairs and pairs[-1][0] == 1.0:  # the end of the period is the beginning of the next, whole turns further
        gain = pairs[-1][1] - pairs[0][1] if name in WHOLE else 0.0
        pairs = pairs[:-1]
    if len(pairs) < 2 and not gain:
        value = pairs[0][1] if pairs else 0.0
        return lambda share: torch.full_like(share, value)
    # The keys of the periods before and after make the ends like all others.
    x = torch.tensor([s + turn for turn in (-1, 0, 1) for s, _ in pairs], dtype=torch.float64)
    y = torch.tensor([v + turn * gain for turn in (-1, 0, 1) for _, v in pairs], dtype=torch.float64)
    slope = y.diff() / x.diff()
    before, after = slope[:-1], slope[1:]
    tangent = torch.where(before * after > 0, 2 * before * after / (before + after), torch.zeros_like(before))
    tangent = torch.cat([slope[:1], tangent, slope[-1:]])

    def curve(share: Tensor) -> Tensor:
        cycles, rest = share.floor(), share - share.floor()
        at = (torch.searchsorted(x, rest, right=True) - 1).clamp(0, len(x) - 2)
        step = x[at + 1] - x[at]
        u = (rest - x[at]) / step
        low, high = (1 + 2 * u) * (1 - u) ** 2, u**2 * (3 - 2 * u)
        pull = step * (u * (1 - u) ** 2 * tangent[at] - u**2 * (1 - u) * tangent[at + 1])
        return low * y[at] + high * y[at + 1] + pull + cycles * gain

    return curve
