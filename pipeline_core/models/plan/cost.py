"""What a piece of a job costs, as numbers that add up."""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class Cost:
    """flops: operations of arithmetic in matrix products, convolutions and attention, 2 for a multiplication with its
    addition; attention: those of them between tokens, which grow with the square of their number. moved: bytes that
    all operations read and write, each by itself, nothing fused; swept: the part of them that belongs to operations
    without such arithmetic, which wait for memory alone. operations: those that compute or copy. reads: values the
    host waited for. peak: the most bytes at once beside what was there before."""

    flops: int = 0
    attention: int = 0
    moved: int = 0
    swept: int = 0
    operations: int = 0
    reads: int = 0
    peak: int = 0

    def __add__(self, other: Cost) -> Cost:
        """One after the other: the greater peak, of everything else the sum."""
        *sums, _ = (a + b for a, b in zip(astuple(self), astuple(other)))
        return Cost(*sums, peak=max(self.peak, other.peak))

    def times(self, count: int) -> Cost:
        """The same `count` times, one after the other."""
        *sums, _ = (value * count for value in astuple(self))
        return Cost(*sums, peak=self.peak if count else 0)
