"""Light and weather of a town's photoreal style: `world.looks` with a camera's contrast and deeper shadows.

The sun's height is the scene's own; `elevation` is idle.
"""

from ..looks import Look

TOWN_LOOKS = {
    "day": Look(
        sun=(3.0, 2.72, 2.30), elevation=0.0, zenith=(0.10, 0.24, 0.62), horizon=(0.62, 0.74, 0.88),
        ambient=(0.26, 0.34, 0.48), haze=0.0016, wet=0.0, lamps=0.0, exposure=0.66, noise=0.010,
    ),
    "dusk": Look(
        sun=(0.0, 0.0, 0.0), elevation=0.0, zenith=(0.09, 0.12, 0.24), horizon=(0.62, 0.44, 0.34),
        ambient=(0.15, 0.15, 0.19), haze=0.0022, wet=0.0, lamps=0.55, exposure=1.30, noise=0.014,
    ),
    "night": Look(
        sun=(0.0, 0.0, 0.0), elevation=0.0, zenith=(0.004, 0.006, 0.013), horizon=(0.030, 0.028, 0.032),
        ambient=(0.012, 0.014, 0.021), haze=0.0020, wet=0.0, lamps=1.0, exposure=2.3, noise=0.022,
    ),
    "rain": Look(
        sun=(0.0, 0.0, 0.0), elevation=0.0, zenith=(0.34, 0.38, 0.43), horizon=(0.56, 0.59, 0.62),
        ambient=(0.30, 0.33, 0.37), haze=0.0070, wet=0.55, lamps=0.20, exposure=0.95, noise=0.013,
    ),
    "fog": Look(
        sun=(0.0, 0.0, 0.0), elevation=0.0, zenith=(0.60, 0.62, 0.64), horizon=(0.66, 0.67, 0.68),
        ambient=(0.40, 0.41, 0.42), haze=0.016, wet=0.10, lamps=0.15, exposure=0.85, noise=0.012,
    ),
    "snow": Look(
        sun=(0.0, 0.0, 0.0), elevation=0.0, zenith=(0.48, 0.51, 0.56), horizon=(0.66, 0.68, 0.71),
        ambient=(0.44, 0.47, 0.52), haze=0.0060, wet=0.0, lamps=0.15, exposure=0.80, noise=0.012, snow=0.85,
    ),
}  # fmt: skip
