"""3-D consistency by structure from motion: what COLMAP makes of the output alone (Schoenberger & Frahm 2016)."""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..conditions.cameras import Cameras
from .base import Figure, check_frames

MOST = 60  # frames that are reconstructed, evenly spread over the clip
# What a success has: at least this share of the frames, at most this median of pixels and of degrees.
WHOLE, SHARP, TRUE = 0.8, 1.0, 5.0
_DOWN = torch.diag(torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64))


class Reconstruction(NamedTuple):
    """numbers: of the frames that have a pose; poses (F, 3, 4) of those, world to camera; errors: of all observations,
    pixels; points, track: number of points, and mean length of their tracks."""

    numbers: list[int]
    poses: Tensor
    errors: Tensor
    points: int
    track: float


class ColmapConsistency:
    """`colmap_success`, `colmap_registered`, `colmap_error`, `colmap_points`, `colmap_track` and, where the clip's
    cameras are known, `colmap_rotation_error` and `colmap_position_error`.

    Frames go to a folder of pictures that is deleted at the end. Registered is the share of frames with a pose in the
    largest model; the error is the median over all observations of how far a point projects from its feature. Poses are
    laid on the true ones by the similarity that fits the cameras' places best (Umeyama 1991): the median angle in
    degrees, and the median distance as a share of how far the places reach. Where they are known COLMAP is given their
    intrinsics, else it looks for the focal length of a pinhole in the picture's middle. Success: a pose for at least .8
    of the frames, an error of at most 1 pixel and, where it is known, an angle of at most 5 degrees: COLMAP takes the
    frames in any order, so that it is the poses that tell a shuffled clip.
    """

    def __init__(self, cameras: Cameras | None = None) -> None:
        self.cameras, self._frames, self._folder = cameras, 0, None

    def update(self, output: Tensor) -> None:
        """output (T, H, W, 3) in [0, 1]."""
        from PIL import Image

        output = check_frames(output, "output", self._frames)
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="colmap_")
        for frame in (output.cpu() * 255).round().byte().numpy():
            Image.fromarray(frame).save(Path(self._folder.name) / f"{self._frames:06d}.png", compress_level=1)
            self._frames += 1

    def compute(self) -> dict[str, Figure]:
        names = {
            "colmap_success": ("", "higher"), "colmap_registered": ("", "higher"), "colmap_error": ("px", "lower"),
            "colmap_points": ("", "higher"), "colmap_track": ("frames", "higher"),
            "colmap_rotation_error": ("degrees", "lower"), "colmap_position_error": ("", "lower"),
        }  # fmt: skip
        if self._folder is None:
            return {name: Figure(None, unit, better, "no frame came") for name, (unit, better) in names.items()}
        step = max(1, -(-self._frames // MOST))
        used = list(range(0, self._frames, step))
        model = reconstruct(Path(self._folder.name), used, None if self.cameras is None else self.cameras.intrinsics)
        self._folder.cleanup()
        self._folder = None
        note = f"every {step} frames" if step > 1 else ""
        values: dict[str, float | None] = dict.fromkeys(names)
        if model is None:
            values |= {"colmap_success": 0.0, "colmap_registered": 0.0, "colmap_points": 0.0}
        else:
            share, error = len(model.numbers) / len(used), float(model.errors.median())
            values |= {
                "colmap_success": float(share >= WHOLE and error <= SHARP), "colmap_registered": share,
                "colmap_error": error, "colmap_points": float(model.points), "colmap_track": model.track,
            }  # fmt: skip
            if self.cameras is not None and len(model.numbers) >= 3:
                truth = self.cameras.world_to_camera[model.numbers]
                angle, distance = pose_errors(model.poses, truth)
                values |= {"colmap_rotation_error": angle, "colmap_position_error": distance}
                values["colmap_success"] *= float(angle <= TRUE)
        absent = {name: "COLMAP found no model" for name in names}
        untrue = "not measured: give buffers with, in scene.json, cameras"
        if self.cameras is None:
            absent |= {"colmap_rotation_error": untrue, "colmap_position_error": untrue}
        return {
            name: Figure(values[name], unit, better, note if values[name] is not None else absent[name])
            for name, (unit, better) in names.items()
        }


def colmap_missing() -> str | None:
    """Why the metric cannot be fed, None where it can."""
    return None if find_spec("pycolmap") else "not measured: pip install pycolmap"


def reconstruct(pictures: Path, numbers: list[int], intrinsics: Tensor | None = None) -> Reconstruction | None:
    """The largest model of the pictures NNNNNN.png with these numbers, by one pinhole, (3, 3) where it is known; None
    where there is no model."""
    import pycolmap

    pycolmap.set_random_seed(0)
    pycolmap.logging.minloglevel = pycolmap.logging.Level.FATAL.value
    with tempfile.TemporaryDirectory(prefix="colmap_") as work:
        database, names = Path(work) / "database.db", [f"{number:06d}.png" for number in numbers]
        reader = pycolmap.ImageReaderOptions()
        reader.camera_model, options = "SIMPLE_PINHOLE", pycolmap.IncrementalPipelineOptions()
        if intrinsics is not None:
            (fx, _, cx), (_, fy, cy), _ = intrinsics.tolist()
            reader.camera_model, reader.camera_params = "PINHOLE", f"{fx},{fy},{cx},{cy}"
            options.ba_refine_focal_length = options.ba_refine_extra_params = False
        pycolmap.extract_features(
            database, pictures, image_names=names, camera_mode=pycolmap.CameraMode.SINGLE, reader_options=reader,
            device=pycolmap.Device.cpu,
        )  # fmt: skip
        pycolmap.match_exhaustive(database, device=pycolmap.Device.cpu)
        models = pycolmap.incremental_mapping(database, pictures, Path(work), options)
    if not models:
        return None
    model = max(models.values(), key=lambda m: m.num_reg_images())
    images = sorted((image for image in model.images.values() if image.has_pose), key=lambda image: image.name)
    poses = torch.from_numpy(np.stack([image.cam_from_world().matrix() for image in images])).double()
    errors = [_errors(model, image) for image in images]
    return Reconstruction(
        [int(image.name[:6]) for image in images], poses, torch.cat(errors), model.num_points3D(),
        float(model.compute_mean_track_length()),
    )  # fmt: skip


def _errors(model, image) -> Tensor:
    """How far every point of an image projects from its feature, in pixels."""
    features = [feature for feature in image.points2D if feature.has_point3D()]
    if not features:
        return torch.zeros(0)
    places = np.stack([model.points3D[feature.point3D_id].xyz for feature in features])
    seen = places @ image.cam_from_world().matrix()[:, :3].T + image.cam_from_world().matrix()[:, 3]
    projected = np.asarray(model.cameras[image.camera_id].img_from_cam(seen))
    return torch.from_numpy(np.linalg.norm(projected - np.stack([f.xy for f in features]), axis=1)).float()


def pose_errors(poses: Tensor, truth: Tensor) -> tuple[float, float]:
    """(median angle in degrees, median distance as a share of the reach) of poses from true ones, both (F, 3, 4) world
    to camera, after the similarity that lays the cameras' places on the true ones best.

    truth may be of a left-handed world, as the renderer's is.
    """
    rotation, true_rotation = poses[:, :, :3].double(), truth[:, :, :3].double()
    places = -(rotation.mT @ poses[:, :, 3:].double())[..., 0]
    true_places = -(true_rotation.mT @ truth[:, :, 3:].double())[..., 0]
    if float(torch.linalg.det(true_rotation[0])) < 0:
        true_rotation, true_places = true_rotation @ _DOWN, true_places @ _DOWN
    turn, scale, shift = umeyama(places, true_places)
    laid = scale * places @ turn.mT + shift
    centre = true_places.mean(0)
    reach = (true_places - centre).norm(dim=-1).max()
    # A camera's axes in the true world, against its own.
    between = (rotation @ turn.mT) @ true_rotation.mT
    cosine = ((between.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).clamp(-1, 1)
    distance = (laid - true_places).norm(dim=-1) / reach.clamp(min=1e-9)
    return float(torch.rad2deg(torch.arccos(cosine)).median()), float(distance.median())


def umeyama(points: Tensor, onto: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rotation (3, 3), scale and shift (3,) with onto ~ scale points R^T + shift, least squares (Umeyama 1991, eq. 40).

    points, onto: (F, 3) float64.
    """
    mean, mean_onto = points.mean(0), onto.mean(0)
    a, b = points - mean, onto - mean_onto
    u, values, vt = torch.linalg.svd(b.mT @ a / len(points))
    signs = torch.ones(3, dtype=points.dtype)
    signs[2] = torch.sign(torch.linalg.det(u) * torch.linalg.det(vt))
    rotation = u @ torch.diag(signs) @ vt
    scale = (values * signs).sum() / a.square().sum(-1).mean()
    return rotation, scale, mean_onto - scale * mean @ rotation.mT
