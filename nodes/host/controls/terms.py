"""What control branches hand to the network: terms (branch, hint, weight) that scale and add up like tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from ....pipeline_core.errors import UserError

Term = tuple[torch.nn.Module, Tensor, "float | Tensor"]
MISFIT = (
    "A control branch met a control network or model of another kind; chain only branches of one model, and use them "
    "with the MODEL they belong to."
)


class ControlTerms:
    """sum_m w_m h_m before it is computed. ComfyUI's control_merge multiplies it by a strength and adds a chain up.

    The network runs the branches itself, because they read its own input, time and text.
    """

    shape = (1,)  # control_merge compares the batch sizes of what it adds
    dtype = None

    def __init__(self, terms: tuple[Term, ...]):
        self.terms = terms

    def __mul__(self, strength: float) -> ControlTerms:
        return ControlTerms(tuple((branch, hint, weight * strength) for branch, hint, weight in self.terms))

    def __add__(self, other: ControlTerms) -> ControlTerms:
        if not isinstance(other, ControlTerms):
            raise UserError(MISFIT)
        return ControlTerms(self.terms + other.terms)

    def __radd__(self, other) -> ControlTerms:
        raise UserError(MISFIT)

    def to(self, *_, **__) -> ControlTerms:
        return self


def terms_of(control: dict | None) -> tuple[Term, ...]:
    """The terms in what a chain of get_control returned. UserError where another control network is among them."""
    values = [value for group in (control or {}).values() for value in group if value is not None]
    if any(not isinstance(value, ControlTerms) for value in values):
        raise UserError(MISFIT)
    return tuple(term for value in values for term in value.terms)
