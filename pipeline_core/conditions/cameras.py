"""The cameras of a clip's frames, where its buffers state them: OpenCV's pinholes, x right, y down, z forward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import UserError

_NEEDED = (
    'write {"intrinsics": a 3x3 matrix, "world_to_camera": a 3x4 matrix for every frame} there, in pixels and metres, '
    "or drop it"
)


@dataclass(frozen=True)
class Cameras:
    """intrinsics (3, 3), in pixels, the middle of the first pixel at (0.5, 0.5); world_to_camera (F, 3, 4), metres: a
    point X of the world is at R X + t. Both float64."""

    intrinsics: Tensor
    world_to_camera: Tensor

    def displacement(self, depth: Tensor, at: int, other: int) -> tuple[Tensor, Tensor]:
        """Where the points that frame `at` shows are in frame `other`: (H, W, 2) pixels (dx, dy) from where they were,
        NaN behind that camera, and their depth there (H, W) metres.

        depth: of frame `at`, (H, W) metres along the axis. x' ~ K (R' R^T (z K^-1 x - t) + t').
        """
        height, width = depth.shape
        y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
        pixels = torch.stack([x, y, torch.ones_like(x)], -1).double()
        here, there = (self.world_to_camera[frame] for frame in (at, other))
        points = depth.cpu().double()[..., None] * (pixels @ torch.linalg.inv(self.intrinsics).mT)
        world = (points - here[:, 3]) @ here[:, :3]  # R^T as a row's product
        seen = world @ there[:, :3].mT + there[:, 3]
        ahead = seen[..., 2] > 1e-3
        projected = seen @ self.intrinsics.mT
        moved = projected[..., :2] / projected[..., 2:].clamp(min=1e-3) - pixels[..., :2]
        return torch.where(ahead[..., None], moved, torch.nan).float(), seen[..., 2].float()


def read_cameras(scene: Mapping, frames: int) -> Cameras | None:
    """The "cameras" of a buffers folder's scene.json, None where it states none.

    UserError for what are no cameras of so many frames.
    """
    stated = scene.get("cameras")
    if stated is None:
        return None
    wrong = UserError(f"The cameras in the buffers' scene.json are not those of {frames} frames: {_NEEDED}.")
    if not isinstance(stated, dict):
        raise wrong
    try:
        parts = [torch.tensor(stated.get(name), dtype=torch.float64) for name in ("intrinsics", "world_to_camera")]
    except (TypeError, ValueError, RuntimeError) as error:
        raise wrong from error
    intrinsics, poses = parts
    shapes = intrinsics.shape == (3, 3) and poses.shape == (frames, 3, 4)
    if not (shapes and all(torch.isfinite(part).all() for part in parts) and float(torch.linalg.det(intrinsics)) != 0):
        raise wrong
    return Cameras(intrinsics, poses)
