"""What the pack's own plan says of a step, for the same numbers as the check."""

from __future__ import annotations


def planned_bytes(name: str, weights: int) -> int | None:
    """Bytes of the weights and of a guided step of this family at its full size; None where there is no plan."""
    return None
