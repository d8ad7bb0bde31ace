"""What the pack's own plan says of a step, for the same numbers as the check."""

from __future__ import annotations


def planned_step(name: str) -> int:
    """Bytes that a step with two conditions of this release needs at once, at its own size, window and controls, beside
    the weights and what it reads."""
    from pipeline_core.models.plan.counts import defaults
    from pipeline_core.models.plan.releases import find_release

    return defaults(find_release(name)).two.peak
