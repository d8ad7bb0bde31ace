"""Truth in the field's own formats: COCO's keypoints, COLMAP's text models, alpha as pictures.

COLMAP's world here is the studio's with y down, because COLMAP's is right-handed; metres, as its cameras are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..world.camera import Camera
from ..world.studio.skeleton import COCO

# Pairs of COCO's keypoints, counted from 1, as in its own category "person".
SKELETON = (
    (16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9), (8, 10), (9, 11),
    (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7),
)  # fmt: skip
PERSON = {
    "id": 1, "name": "person", "supercategory": "person", "keypoints": list(COCO),
    "skeleton": [list(pair) for pair in SKELETON],
}  # fmt: skip
DOWN = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64)  # the studio's world to COLMAP's
POINTS_PER_FRAME = 400


def coco_keypoints(
    keypoints: Mapping[int, Tensor], joints: Mapping[int, Tensor], instances: Tensor, size: tuple[int, int]
) -> dict:
    """A clip's people in COCO's format: an image for every frame, an annotation for everybody in it.

    keypoints, joints: (T, 17, 3) by instance, as in a `Take`; instances: (T, H, W). Annotations have COCO's keys with
    the box and area of what is seen, `track_id`, the person through all frames, and `keypoints_3d`, metres in COLMAP's
    world. Who is not in the picture has no annotation there.
    """
    images = [
        {"id": frame + 1, "file_name": f"{frame:06d}.png", "height": size[0], "width": size[1], "frame": frame}
        for frame in range(len(instances))
    ]
    annotations = []
    for frame in range(len(instances)):
        for instance, places in keypoints.items():
            mask = instances[frame] == instance
            rows, columns = (mask.any(dim=dim).nonzero().flatten() for dim in (1, 0))
            if not len(rows):
                continue
            x, y = int(columns[0]), int(rows[0])
            shown = places[frame]
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": frame + 1, "category_id": 1, "iscrowd": 0,
                    "track_id": instance, "area": int(mask.sum()),
                    "bbox": [x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1],
                    "num_keypoints": int((shown[:, 2] > 0).sum()),
                    "keypoints": [round(v, 3) for v in shown.flatten().tolist()],
                    "keypoints_3d": [round(v, 5) for v in (joints[instance][frame] * DOWN).flatten().tolist()],
                }
            )  # fmt: skip
    return {"images": images, "annotations": annotations, "categories": [PERSON]}


def colmap_poses(camera: Camera) -> tuple[Tensor, Tensor]:
    """Rotations (F, 3, 3) with determinant 1 and translations (F, 3), float64: X of COLMAP's world is at R X + t."""
    poses = torch.tensor(camera.matrices()["world_to_camera"], dtype=torch.float64)
    return poses[..., :3] * DOWN, poses[..., 3]


def quaternions(rotation: Tensor) -> Tensor:
    """(F, 4) unit quaternions w, x, y, z of rotations (F, 3, 3), w not negative."""
    m = rotation
    # Bar-Itzhack 2000: the eigenvector of the largest eigenvalue, stable at every angle.
    xx, yy, zz = m[:, 0, 0], m[:, 1, 1], m[:, 2, 2]
    rows = (
        (xx - yy - zz, m[:, 1, 0] + m[:, 0, 1], m[:, 2, 0] + m[:, 0, 2], m[:, 2, 1] - m[:, 1, 2]),
        (m[:, 1, 0] + m[:, 0, 1], yy - xx - zz, m[:, 2, 1] + m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0]),
        (m[:, 2, 0] + m[:, 0, 2], m[:, 2, 1] + m[:, 1, 2], zz - xx - yy, m[:, 1, 0] - m[:, 0, 1]),
        (m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1], xx + yy + zz),
    )
    _, vectors = torch.linalg.eigh(torch.stack([torch.stack(row, -1) for row in rows], -2) / 3)
    x, y, z, w = vectors[..., -1].unbind(-1)
    sign = torch.where(w < 0, -1.0, 1.0).to(w.dtype)
    return torch.stack([w, x, y, z], -1) * sign[:, None]


def write_colmap(folder: Path, camera: Camera, depth: Tensor, rgb: Tensor) -> None:
    """cameras.txt, images.txt and points3D.txt of a clip: its true poses, and points of its surfaces without tracks.

    depth (T, H, W) metres along the axis; rgb (T, H, W, 3). Frames are called 000000.png and so on.
    """
    rotation, shift = colmap_poses(camera)
    turns = quaternions(rotation)
    cx, cy = camera.width / 2, camera.horizon_row
    (folder / "cameras.txt").write_text(
        "# CAMERA_ID, MODEL, WIDTH, HEIGHT, fx, fy, cx, cy\n"
        f"1 PINHOLE {camera.width} {camera.height} {camera.focal!r} {camera.focal!r} {cx!r} {cy!r}\n",
        encoding="utf-8",
    )
    lines = ["# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME; then POINTS2D[]"]
    for frame, numbers in enumerate(torch.cat([turns, shift], 1).tolist()):
        lines += [f"{frame + 1} {' '.join(repr(n) for n in numbers)} 1 {frame:06d}.png", ""]
    (folder / "images.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    lines = ["# POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[]"]
    for place, colour in zip(*surface_points(camera, depth, rgb), strict=True):
        lines.append(f"{len(lines)} {' '.join(f'{v:.6f}' for v in place)} {' '.join(map(str, colour))} 0")
    (folder / "points3D.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def surface_points(camera: Camera, depth: Tensor, rgb: Tensor) -> tuple[list, list]:
    """Places in COLMAP's world and 8-bit colours of points on a grid over the first, a middle and the last frame."""
    places, colours = [], []
    step = max(1, int((camera.height * camera.width / POINTS_PER_FRAME) ** 0.5))
    for frame in sorted({0, len(depth) // 2, len(depth) - 1}):
        pose = camera.pose(frame)
        cells = (slice(step // 2, None, step), slice(step // 2, None, step))
        far = depth[frame][cells]
        points = pose.position[0] + pose.rays(0.5, 0.5)[0][cells] * far[..., None]
        near = torch.isfinite(far) & (far < 200)
        places += (points[near].double() * DOWN).tolist()
        colours += (rgb[frame][cells][near] * 255).round().int().tolist()
    return places, colours


def write_alpha(folder: Path, alpha: Tensor) -> None:
    """alpha (T, H, W) in [0, 1] as 8-bit grey pictures 000000.png and so on."""
    from PIL import Image

    for frame, plane in enumerate((alpha * 255).round().byte().cpu().numpy()):
        Image.fromarray(np.ascontiguousarray(plane), mode="L").save(folder / f"{frame:06d}.png")
