"""The diffusion maths, written once on the clean prediction D(x, sigma)."""

from .interpolants import FLOW, VE, Interpolant
from .invert import Inversion, invert
from .run import Callback, Denoise
from .sample import sample
from .sigmas import flow_from_ve, flow_sigmas, karras_sigmas, log_sigmas, truncate

__all__ = [
    "FLOW",
    "VE",
    "Callback",
    "Denoise",
    "Interpolant",
    "Inversion",
    "flow_from_ve",
    "flow_sigmas",
    "invert",
    "karras_sigmas",
    "log_sigmas",
    "sample",
    "truncate",
]
