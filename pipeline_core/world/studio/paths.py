"""How a studio's camera goes: round what it looks at, or turning on the spot; with a sweep of 0 it stands still."""

from dataclasses import dataclass
from math import degrees

import torch
from torch import Tensor

from ..camera import Camera


@dataclass(frozen=True)
class Path:
    """A sweep of `sweep` radians over `frames` frames, of which the first and the last are its two ends.

    radius: metres from `centre` to a camera that looks at it; 0 for one that stands there and turns. start: radians;
    seen from a camera that goes round, positive sweeps go to its left, and one that turns, turns to its right.
    height: metres of the camera above the floor; rise: how much higher it ends. pitch: radians that a turning camera
    looks up.
    """

    centre: tuple[float, float, float]
    radius: float
    height: float
    start: float
    sweep: float
    frames: int
    rise: float = 0.0
    pitch: float = 0.0

    def camera(self, frames: Tensor, height: int, width: int) -> Camera:
        """Poses at the given frame numbers, which need not be whole or within the path."""
        share = frames.double() / max(1, self.frames - 1)
        angle = self.start + self.sweep * share
        centre = torch.tensor(self.centre, dtype=torch.float64)
        outward = torch.stack([angle.sin(), torch.zeros_like(angle), angle.cos()], -1)
        position = centre + self.radius * outward
        position[:, 1] = self.height + self.rise * share
        up = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
        forward = centre - position if self.radius else outward + self.pitch * up
        forward = forward / forward.norm(dim=-1, keepdim=True)
        right = torch.linalg.cross(up.expand_as(forward), forward)
        right = right / right.norm(dim=-1, keepdim=True)
        rotation = torch.stack([right, torch.linalg.cross(forward, right), forward], -1)
        yaw = torch.atan2(forward[:, 0], forward[:, 2])
        return Camera(position.float(), yaw.float(), height, width, rotation.float())

    def phrase(self) -> str:
        """The camera's way in words."""
        if not self.sweep and not self.rise:
            return "the camera stands still"
        turned = round(abs(degrees(self.sweep)) / 10) * 10
        arc = "a full circle" if turned == 360 else "a half circle" if turned == 180 else f"{turned} degrees"
        lift = " and rises" if self.rise > 0.3 else " and sinks" if self.rise < -0.3 else ""
        if self.radius:
            return f"the camera orbits {arc} to the {'left' if self.sweep > 0 else 'right'}{lift}"
        return f"the camera turns {arc} to the {'right' if self.sweep > 0 else 'left'} on the spot{lift}"
