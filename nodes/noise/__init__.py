"""Noise with the clip's structure in it."""

from .ddim_invert import DDIMInvert
from .noise_calibrate import NoiseCalibrate

NODES = [
    DDIMInvert,
    NoiseCalibrate,
]
