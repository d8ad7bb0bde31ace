"""Bounds on numbers from outside, looked at before any work: beyond them a job would hang or eat the memory."""

from __future__ import annotations

import math

from ..errors import UserError

SEEDS = 0, 2**63 - 1
RATES = 0.01, 1000.0  # frames per second
FRAMES = 1, 1_000_000
DRIVE = 3600  # seconds of one rendered scene, whose whole street is laid first
SIDE = 8, 8192  # pixels
PIXELS = 7680 * 4320  # of one frame
MOST_TEXT = 100_000  # characters of a prompt


def check_range(name: str, value: float, limits: tuple[float, float]) -> None:
    """UserError unless `value` is finite and between the limits, both included. name: the option or input."""
    low, high = limits
    if not (math.isfinite(value) and low <= value <= high):
        raise UserError(f"{name} is {value} but must be from {low} to {high}: change {name}.")


def check_size(name: str, size: tuple[int, int]) -> None:
    """UserError for a frame size (height, width) beyond SIDE and PIXELS."""
    if not all(SIDE[0] <= side <= SIDE[1] for side in size) or size[0] * size[1] > PIXELS:
        raise UserError(
            f"{name} is {size[0]}x{size[1]} but sides must be from {SIDE[0]} to {SIDE[1]} pixels and a frame no larger "
            f"than 8K (7680x4320): change {name}."
        )
