"""First-block cache: a step whose first block changes little takes the other blocks' work from the step before.

The rule is ParaAttention's, as diffusers' FirstBlockCache has it: with r = block_0(h) - h of this step and r' of the
last step that was computed, mean|r - r'| <= threshold mean|r'| skips blocks 1 to L, whose h_L - h_1 is added again.
Here the control branches' later blocks are skipped with them, and a step up in noise starts anew.
"""

from __future__ import annotations

from torch import Tensor

from ...diffusion.run import read_values
from ...errors import UserError


class FirstBlockCache:
    """The memory of one pass of one batch of conditions. threshold: the higher, the more steps are skipped; 0 is off.

    skipped, steps: counts over its life.
    """

    def __init__(self, threshold: float):
        if not 0 <= threshold <= 1:
            raise UserError(f"cache is {threshold} but must be from 0 (off) to 1: change cache.")
        self.threshold, self.skipped, self.steps = threshold, 0, 0
        self._time: Tensor | None = None
        self._first: Tensor | None = None
        self._rest: Tensor | None = None

    def rest_of(self, first: Tensor, time: Tensor) -> Tensor | None:
        """h_L - h_1 to take over for this step's first residual, or None: compute the blocks, then call `keep`.

        time: of the step, one value; with the change it is read from the device at once, see diffusion/run.py.
        """
        known, before, self._time = self._rest, self._time, time
        self.steps += 1
        if known is not None and known.shape == first.shape:
            change = (first - self._first).abs().mean() / self._first.abs().mean()
            change, falling = read_values(change, time < before)
            if falling and change <= self.threshold:
                self.skipped += 1
                return known
        self._first, self._rest = first, None
        return None

    def keep(self, rest: Tensor) -> None:
        """Remember what the blocks after the first added."""
        self._rest = rest
