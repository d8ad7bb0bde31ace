"""What a flat road says of depth pictures: which reading of them makes it flat, and how far away it is.

On a plane under a level camera the inverse depth grows by the same amount from row to row (1 / d = (y - y0) / (f h),
y0 the horizon, f the focal length, h the camera's height). A wrong reading of the codes bends it, turns it over or puts
it at a distance where no car's camera has it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from einops import rearrange

ROWS = (0.58, 0.86)  # of the picture's height: below the horizon, above a bonnet
NEAR = (1.8, 10.0)  # metres: how far the ground is from a car's camera in the lowest of these rows
MAYBE = (1.4, 16.0)  # and how far it might be
SURE, PERHAPS = 1.0, 2.0  # the error of a fit that is a road, and of one that may be
HORIZON = (0.15, 0.6)  # of the picture's height
_FAR = 900.0  # metres from which it is no ground
_FINE = 0.02  # the error of the logarithm of depth that a road's own shape makes
_FEWEST = 5


@dataclass(frozen=True)
class Ground:
    """A plane fitted to the lower part of depth pictures: metres to it in the lowest row that was looked at, the
    horizon's row as a share of the height, and the error of the fit in units of what the codes can tell apart."""

    near: float
    horizon: float
    error: float

    def flat(self, error: float = SURE) -> bool:
        """Is it flat, and its horizon where a car's camera has it."""
        return self.error <= error and HORIZON[0] <= self.horizon <= HORIZON[1]

    def begins(self, limits: tuple[float, float] = NEAR, error: float = SURE) -> bool:
        """Is it, besides, as far away as the road is from a car's camera."""
        return self.flat(error) and limits[0] <= self.near <= limits[1]


def fit_ground(depth: np.ndarray, step: np.ndarray | float = 0.0) -> Ground | None:
    """The plane in depth pictures (T, H, W), larger is farther, 1000 and more the sky; None where none can be fitted.

    step: of every depth, the share of it by which the next code differs, like `depth` or one number. Of each row the
    far side counts (the upper quartile): what stands on the ground is nearer than the ground behind it.
    """
    T, H, W = depth.shape
    rows = np.arange(int(ROWS[0] * H), max(int(ROWS[0] * H) + 1, round(ROWS[1] * H)))
    below = rearrange(depth[:, rows], "t row w -> row (t w)")
    profile = np.quantile(below, 0.75, axis=1, method="nearest")
    coarse = np.full(len(rows), float(step)) if np.isscalar(step) else _of_profile(step[:, rows], below, profile)
    ground = (profile > 0) & (profile < _FAR)
    rows, profile, coarse = rows[ground] + 0.5, profile[ground], coarse[ground]
    if len(rows) < _FEWEST or len(np.unique(profile)) < 3:
        return None
    # Weighed so that every row counts by its relative error.
    slope, offset = np.polyfit(rows, 1 / profile, 1, w=profile / (coarse + _FINE))
    fitted = slope * rows + offset
    if slope <= 0 or (fitted <= 0).any():
        return None
    error = np.sqrt(np.mean((np.log(profile * fitted) / (coarse + _FINE)) ** 2))
    near = 1 / (slope * ROWS[1] * H + offset)
    return Ground(float(near), float(-offset / slope / H), float(error))


def _of_profile(step: np.ndarray, below: np.ndarray, profile: np.ndarray) -> np.ndarray:
    """The step at the depth of each row's profile."""
    flat = rearrange(step, "t row w -> row (t w)")
    return np.take_along_axis(flat, np.abs(below - profile[:, None]).argmin(1)[:, None], 1)[:, 0]
