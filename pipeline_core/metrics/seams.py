"""Where windows meet and what creeps over minutes: motion-aware MSE at the seams, seam ratio, drift slopes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from ..errors import UserError, shown
from .base import Figure, check_frames, check_pair, luma
from .frequency import detail
from .temporal import change_along, check_motion


class SeamError:
    """Motion-aware MSE of InsV2V (2311.00213, section 5.3): mean square change along the motion, at given frames.

    `mamse`: mean over the steps into the frames `seams` (frame numbers that start a new window; the step from the
    frame before is looked at) of the mean over pixels and channels of (frame_{t+1}(p + flow_t(p)) - frame_t(p))^2;
    `mamse_inside`: the same over all other steps; `seam_ratio`: their ratio, 1 where a seam cannot be told from any
    other step. The paper prints mamse times 1000. Motion is the source's own, never estimated on the output.
    """

    def __init__(self, seams: Iterable[int]) -> None:
        self.seams = frozenset(int(t) for t in seams)
        if self.seams and min(self.seams) < 1:
            raise UserError(f"A seam at frame {min(self.seams)} came: seams are frame numbers from 1.")
        self._last, self._frames, self._steps = None, 0, {True: [], False: []}
        self.series: dict[str, list] = {"mamse": []}

    def update(self, output: Tensor, flow: Tensor, ids: Tensor | None = None) -> None:
        """output (T, H, W, 3) in [0, 1]; flow and ids as `FlowError.update` takes them."""
        output = check_frames(output, "output", self._frames)
        check_motion(output, flow, ids)
        for t, frame in enumerate(output):
            identity, value = None if ids is None else ids[t], None
            if self._last is not None:
                before, motion, last_ids = self._last
                change, valid = change_along(before, frame, motion, last_ids, identity)
                pixels = int(valid.sum())
                value = float(change.double().square().sum()) / pixels / 3 if pixels else None
                if value is not None:
                    self._steps[self._frames + t in self.seams].append(value)
            self.series["mamse"].append(value)
            self._last = (frame, flow[t].float(), identity)
        self._frames += len(output)

    def compute(self) -> dict[str, Figure]:
        at, inside = (self._steps[key] for key in (True, False))
        unseen = [t for t in self.seams if t >= self._frames]
        absent = "no step into a seam could be followed" if self.seams else "no seams were given"
        if self.seams and len(unseen) == len(self.seams):
            absent = "all seams lie beyond the last frame"
        note = f"{len(at)} seams" + (f"; {len(unseen)} beyond the last frame" if unseen else "")
        mamse = Figure(math.fsum(at) / len(at), "", "lower", note) if at else Figure(None, "", "lower", absent)
        rest = Figure(None, "", "lower", "no other step could be followed")
        if inside:
            rest = Figure(math.fsum(inside) / len(inside), "", "lower", f"{len(inside)} steps")
        if not at or not inside:
            ratio = Figure(None, "", "lower", mamse.note if not at else rest.note)
        elif rest.value == 0:
            ratio = Figure(None, "", "lower", "nothing changes inside the windows")
        else:
            ratio = Figure(mamse.value / rest.value, "", "lower", note)
        return {"mamse": mamse, "mamse_inside": rest, "seam_ratio": ratio}


def plan_seams(windows: Iterable[Sequence[int]]) -> tuple[int, ...]:
    """The frames whose step in is a seam, of windows [(start, stop), ...]: from where a window begins to where the one
    before it ends, since the change from one to the other is spread over what both have."""
    windows = sorted((int(start), int(stop)) for start, stop in windows)
    pairs = zip(windows, windows[1:])
    return tuple(sorted({t for before, after in pairs for t in range(after[0], max(before[1], after[0]) + 1)}))


def parse_seams(text: str) -> tuple[int, ...]:
    """ "48,96" to (48, 96); an empty text to ()."""
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise UserError(f"The seams {shown(text)} are not frame numbers such as 48,96: change seams.") from None


def check_seams(seams: Iterable[int], frames: int) -> None:
    """UserError unless every seam is a frame of a clip of `frames` that has one before it."""
    for seam in seams:
        if not 1 <= seam < frames:
            raise UserError(f"A seam at frame {seam} came but must be from 1 to {frames - 1}: change seams.")


def slope(values: Iterable[float | None]) -> float | None:
    """Least-squares slope of values over their index, per step; None entries are left out; None below two values."""
    points = [(t, v) for t, v in enumerate(values) if v is not None]
    if len(points) < 2:
        return None
    mean_t, mean_v = (math.fsum(p[i] for p in points) / len(points) for i in (0, 1))
    spread = math.fsum((t - mean_t) ** 2 for t, _ in points)
    return math.fsum((t - mean_t) * (v - mean_v) for t, v in points) / spread


class Drift:
    """What creeps: least-squares slopes over time of output minus source, per 100 frames.

    `drift_brightness`: of the mean luma; `drift_contrast`: of the luma's standard deviation over the frame;
    `drift_chroma`: of the mean of max - min of R'G'B'; `drift_detail`: of the spatial frequency. 0 is steady; the
    difference to the source takes out what the scene itself does. A constant change of style is no drift.
    """

    def __init__(self) -> None:
        self._frames = 0
        self.series: dict[str, list] = {name: [] for name in ("brightness", "contrast", "chroma", "detail")}

    def update(self, output: Tensor, source: Tensor) -> None:
        """Both (T, H, W, 3) in [0, 1]."""
        output, source = check_pair(output, source, self._frames, "source")
        for name, ours, theirs in zip(self.series, _statistics(output), _statistics(source)):
            self.series[name] += [v if v == v else None for v in (ours - theirs).tolist()]
        self._frames += len(output)

    def compute(self) -> dict[str, Figure]:
        figures = {}
        for name, values in self.series.items():
            value = slope(values)
            note = "output minus source" if value is not None else "fewer than two frames"
            figures[f"drift_{name}"] = Figure(None if value is None else 100 * value, "per 100 frames", "", note)
        return figures


def _statistics(frames: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    light = luma(frames)
    mean = light.mean((1, 2), dtype=torch.float64)
    # The spread from the mean, not from zero: squares in single precision lose nothing then.
    lines = torch.linalg.vector_norm(light - mean[:, None, None].to(light.dtype), dim=2).double()
    spread = (lines.square().sum(1) / light[0].numel()).sqrt() if len(light) else mean
    r, g, b = frames.unbind(-1)
    chroma = torch.maximum(torch.maximum(r, g), b).sub_(torch.minimum(torch.minimum(r, g), b))
    return mean, spread, chroma.mean((1, 2), dtype=torch.float64), detail(light)
