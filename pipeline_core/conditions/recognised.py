"""What pictures were recognised as, and the one sentence where they were not."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UserError

AUTO = "auto"  # the format that stands for: recognise it
OPTIONS = {"depth": "the depth format (--depth-format)", "semantic": "the semantic format (--semantic-format)"}


@dataclass(frozen=True)
class Recognised:
    """A format and why it is that; remarks: what a user should know of it; scale: metres of one unit, where the
    pictures say it themselves; share: of the pixels that the format explains."""

    format: str
    why: str
    remarks: tuple[str, ...] = ()
    scale: float | None = None
    share: float = 1.0

    def lines(self) -> list[str]:
        """For people: the format with its reason, and a line for each remark."""
        return [f"{self.format}: {self.why}", *(f"note: {remark}" for remark in self.remarks)]


def unclear(source: str, channel: str, seen: str, candidates: list[str]) -> UserError:
    """The refusal where pictures fit several formats, or none of those that look like it."""
    if candidates:
        return UserError(f"{source} {seen}: set {OPTIONS[channel]} to the right one of {', '.join(candidates)}.")
    return UserError(f"{source} {seen}: give other pictures, or set {OPTIONS[channel]}.")
