"""The diffusion maths, written once on the clean prediction D(x, sigma)."""

from .calibration import Calibration, calibrate_noise
from .damping import ConflictDamping
from .editing import blend_noise, fresh_noise, renoise_low_sigmas, restore_high_frequencies
from .guidance import (
    CFG,
    Guidance,
    Interval,
    Only,
    Predict,
    Rescale,
    SimDrop,
    VideoText,
    guided,
)
from .hold import held, latent_places
from .interpolants import FLOW, VE, Interpolant
from .inversion_free import edited
from .invert import Inversion, invert
from .run import Callback, Denoise
from .sample import sample
from .sigmas import end_above_zero, flow_from_ve, flow_sigmas, karras_sigmas, log_sigmas, truncate
from .solvers import stochastic_ddim

__all__ = [
    "CFG",
    "FLOW",
    "VE",
    "Calibration",
    "Callback",
    "ConflictDamping",
    "Denoise",
    "Guidance",
    "Interpolant",
    "Interval",
    "Inversion",
    "Only",
    "Predict",
    "Rescale",
    "SimDrop",
    "VideoText",
    "blend_noise",
    "calibrate_noise",
    "edited",
    "end_above_zero",
    "flow_from_ve",
    "flow_sigmas",
    "fresh_noise",
    "guided",
    "held",
    "invert",
    "karras_sigmas",
    "latent_places",
    "log_sigmas",
    "renoise_low_sigmas",
    "restore_high_frequencies",
    "sample",
    "stochastic_ddim",
    "truncate",
]
