"""The ego camera: a pinhole; on the level, without roll or pitch, its horizon is one row."""

from dataclasses import dataclass
from math import pi, tan

import torch
from torch import Tensor

HORIZONTAL_FOV = 66.0
HORIZON = 0.45  # row of the horizon as a share of the height


@dataclass(frozen=True)
class Camera:
    """Poses of F frames: position (F, 3) metres, yaw (F,) radians; image size in pixels.

    rotation: (F, 3, 3) with the columns right, up and forward, where the camera may pitch and roll; it stands over yaw.
    """

    position: Tensor
    yaw: Tensor
    height: int
    width: int
    rotation: Tensor | None = None

    def pose(self, frame: int) -> "Camera":
        """The camera of one of the frames."""
        at = slice(frame, frame + 1)
        rotation = None if self.rotation is None else self.rotation[at]
        return Camera(self.position[at], self.yaw[at], self.height, self.width, rotation)

    @property
    def focal(self) -> float:
        return 0.5 * self.width / tan(HORIZONTAL_FOV * pi / 360)

    @property
    def horizon_row(self) -> float:
        return HORIZON * self.height

    def rays(self, dx: float, dy: float) -> Tensor:
        """World directions (F, H, W, 3) with unit camera-z, through offset (dx, dy) in [0, 1) of each pixel."""
        u = (torch.arange(self.width) + dx - 0.5 * self.width) / self.focal
        v = (torch.arange(self.height) + dy - self.horizon_row) / self.focal
        v, u = torch.meshgrid(v, u, indexing="ij")
        if self.rotation is not None:
            return torch.einsum("hwk,fjk->fhwj", torch.stack([u, -v, torch.ones_like(u)], dim=-1), self.rotation)
        c, s = torch.cos(self.yaw)[:, None, None], torch.sin(self.yaw)[:, None, None]
        return torch.stack([c * u + s, -v.expand(len(self.yaw), -1, -1), c - s * u], dim=-1)

    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """World points (F, ..., 3) to pixel coordinates (F, ..., 2) and depth along the axis (F, ...)."""
        shape = (-1,) + (1,) * (points.ndim - 2)
        rel = points - self.position.reshape(shape + (3,))
        if self.rotation is not None:
            x, y, z = torch.einsum("fnj,fjk->fnk", rel.flatten(1, -2), self.rotation).reshape(rel.shape).unbind(-1)
        else:
            c, s = torch.cos(self.yaw).reshape(shape), torch.sin(self.yaw).reshape(shape)
            x, y, z = c * rel[..., 0] - s * rel[..., 2], rel[..., 1], s * rel[..., 0] + c * rel[..., 2]
        safe = torch.where(z.abs() < 1e-6, torch.full_like(z, 1e-6), z)
        u = 0.5 * self.width + self.focal * x / safe
        v = self.horizon_row - self.focal * y / safe
        return torch.stack([u, v], dim=-1), z

    def matrices(self) -> dict:
        """{"intrinsics": 3x3, "world_to_camera": 3x4 of every frame} as plain lists: OpenCV's form, x right, y down, z
        forward, the middle of the first pixel at (0.5, 0.5)."""
        if self.rotation is None:
            c, s, none, one = self.yaw.cos(), self.yaw.sin(), torch.zeros_like(self.yaw), torch.ones_like(self.yaw)
            axes = torch.stack([torch.stack(axis, -1) for axis in ((c, none, -s), (none, one, none), (s, none, c))], 1)
        else:
            axes = self.rotation.mT
        axes = axes.double() * torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64)[:, None]  # down, where up was
        shift = -torch.einsum("fij,fj->fi", axes, self.position.double())
        intrinsics = [[self.focal, 0.0, self.width / 2], [0.0, self.focal, self.horizon_row], [0.0, 0.0, 1.0]]
        return {"intrinsics": intrinsics, "world_to_camera": torch.cat([axes, shift[..., None]], -1).tolist()}
