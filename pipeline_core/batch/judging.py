"""A recipe's gate with the networks that it needs, ready to measure and judge one result after the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..conditions.estimated import Estimators
from ..metrics.extras import Extras
from ..metrics.seams import plan_seams
from .gate import Verdict, figures, judge
from .rules import GateRules

if TYPE_CHECKING:
    from ..conditions.buffers import Buffers
    from ..metrics.realism import Critic


@dataclass(frozen=True)
class Gate:
    """critic: the embedded one, None where the recipe turns its check off."""

    rules: GateRules
    critic: Critic | None = None
    extras: Extras = Extras()

    def judged(
        self,
        source: Path,
        result: Path,
        buffers: Buffers | None,
        windows: list[list[int]],
        look: str | None = None,
        frames: int | None = None,
    ) -> tuple[dict[str, float], Verdict]:
        """The figures of a result and what the gate says of them. windows: [[start, stop], ...] of its job, as far as
        they are known. look: of the result, for some limits do not hold in all of them. frames: see `figures`."""
        extras = replace(self.extras, seams=plan_seams(windows))
        measured = figures(source, result, buffers, self.critic, extras, frames)
        return measured, judge(measured, self.rules.limits(look))


def load_gate(rules: GateRules | None, estimators: Estimators = Estimators(), device: str | None = None) -> Gate | None:
    """None without rules. UserError where the critic's files are missing."""
    if rules is None:
        return None
    critic = None
    if rules.limits()["critic"] is not None:
        from ..metrics.critic import load_critic

        critic = load_critic(device=device)
    return Gate(rules, critic, Extras(estimators=estimators, device=device))
