"""Render a studio scene in either style with its truth: joints, cameras, alpha and a simulator's buffers."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...errors import UserError
from ..camera import Camera
from ..raycast import Hits, cast, sunlit, visible_solids
from ..render import check_render, flow_of, frames_at_once
from ..surfaces import Surface
from ..synthetic import shade_synthetic
from ..town.looks import TOWN_LOOKS
from ..town.photoreal import town_light, town_radiance
from ..town.sensor import town_develop
from ..town.surfaces import describe_town
from .layers import lay, spread
from .skeleton import COCO
from .stage import BACKDROPS, Stage

# Rays of a pixel: where in it (x, y), and in the photoreal style how many frames away, for the open shutter.
RAYS = {
    "low": ((0.5, 0.5, 0.0),),
    "high": ((0.375, 0.125, -0.06), (0.875, 0.375, -0.02), (0.125, 0.625, 0.02), (0.625, 0.875, 0.06)),
}
QUALITIES = tuple(RAYS)
AT_ONCE = 4  # frames
DEPTH_OF_BODY = 0.075  # share of a person's height that a joint may lie behind the skin before it


@dataclass(frozen=True)
class Take:
    """A rendered studio clip of T frames.

    rgb (T, H, W, 3) sRGB in [0, 1]; depth, classes, instances, flow and camera as in a `render.Render`. alpha (T, H, W)
    in [0, 1]: the foreground's share of each pixel where the scene has a backdrop; rgb is then alpha times `foreground`
    plus (1 - alpha) times the plain colour. joints: world places (T, 17, 3) of COCO's keypoints by instance. keypoints
    (T, 17, 3) by instance: x and y in pixels, the middle of the first one at (0.5, 0.5), and 2 for visible, 1 for
    hidden, 0 (with x and y 0) for out of the picture.
    """

    rgb: Tensor
    depth: Tensor
    classes: Tensor
    instances: Tensor
    flow: Tensor
    camera: Camera
    alpha: Tensor | None = None
    foreground: Tensor | None = None
    joints: dict[int, Tensor] = field(default_factory=dict)
    keypoints: dict[int, Tensor] = field(default_factory=dict)


def render_stage(
    stage: Stage,
    frames: int | range | None = None,
    size: tuple[int, int] = (96, 160),
    style: str = "synthetic",
    quality: str = "high",
) -> Take:
    """Render `frames` (a count or a range of frame numbers; None: the scene's own) at size (height, width).

    style: as for `world.render`. quality: "low" is one ray a pixel, with jagged edges and no motion blur, "high" four.
    """
    numbers = range(stage.frames) if frames is None else range(frames) if isinstance(frames, int) else frames
    check_render(numbers, size, (style,))
    if quality not in QUALITIES:
        raise UserError(f"quality is {quality!r} but must be one of {', '.join(QUALITIES)}: change quality.")
    # Where the camera goes round, few frames share what is in a part of the screen.
    count = min(frames_at_once(size), AT_ONCE)
    pieces = [_chunk(stage, numbers[i : i + count], size, style, quality) for i in range(0, len(numbers), count)]
    frame = torch.tensor(list(numbers))
    joined = {name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0] if pieces[0][name] is not None}
    camera, joints = stage.camera(frame, *size), stage.joints_at(frame)
    depth = joined["depth"]
    keypoints = {instance: seen(points, camera, depth, stage, instance) for instance, points in joints.items()}
    return Take(**joined, camera=camera, joints=joints, keypoints=keypoints)


def seen(points: Tensor, camera: Camera, depth: Tensor, stage: Stage, instance: int) -> Tensor:
    """A `Take`'s keypoints (F, 17, 3) of one person: world places (F, 17, 3) against depth (F, H, W)."""
    height = next(p.cycle.height for p in stage.performers if p.instance == instance)
    pixels, far = camera.project(points)
    x, y = pixels.unbind(-1)
    inside = (far > 0) & (x >= 0) & (y >= 0) & (x < camera.width) & (y < camera.height)
    rows, columns = (v.clamp(0, n - 1).long() for v, n in ((y, camera.height), (x, camera.width)))
    first = depth[torch.arange(len(depth))[:, None].expand(-1, len(COCO)), rows, columns]
    visible = torch.where(first > far - DEPTH_OF_BODY * height, 2, 1)
    shown = torch.stack([x, y, visible.to(x.dtype)], -1)
    return torch.where(inside[..., None], shown, torch.zeros_like(shown))


def _chunk(stage: Stage, numbers: range, size: tuple[int, int], style: str, quality: str) -> dict:
    frame = torch.tensor(list(numbers))
    seconds = frame.to(torch.float32) / stage.fps
    camera, after = stage.camera(frame, *size), stage.camera(frame + 1, *size)
    solids = visible_solids(stage, camera, seconds)
    hits = cast(stage, camera, seconds, solids=solids)
    surface = _describe(stage, hits, seconds)
    light, share = torch.zeros(*hits.depth.shape, 3), torch.zeros_like(hits.depth)
    for sample, (dx, dy, delay) in enumerate(RAYS[quality]):
        then, when, there = camera, seconds, solids
        if delay and style != "synthetic":
            then, when = stage.camera(frame + delay, *size), (frame + delay) / stage.fps
            there = visible_solids(stage, then, when)
        sampled = cast(stage, then, when, dx, dy, there)
        mask = (sampled.solid >= 0).float() if stage.backdrop else torch.ones_like(share)
        light = light + mask[..., None] * _light(stage, style, then, when, sampled, there, sample)
        share = share + mask
    count = len(RAYS[quality])
    alpha, image = share / count, light / share.clamp(min=1)[..., None]
    if stage.backdrop is not None:
        image = spread(image, alpha > 0)
    if style != "synthetic":
        image = town_develop(stage, image, TOWN_LOOKS[style.partition(".")[2] or "day"], numbers[0])
    rgb, plain = image, BACKDROPS.get(stage.backdrop)
    if plain is not None:
        rgb, alpha, image = lay(image, alpha, plain, soft=style != "synthetic")
    return {
        "rgb": rgb, "depth": hits.depth, "classes": surface.tag.to(torch.uint8),
        "instances": surface.instance.to(torch.int32),
        "flow": flow_of(stage, camera, after, (frame + 1).to(torch.float32) / stage.fps, hits),
        "alpha": None if plain is None else alpha, "foreground": None if plain is None else image,
    }  # fmt: skip


def _describe(stage: Stage, hits: Hits, seconds: Tensor) -> Surface:
    return describe_town(stage, hits, seconds, lambda stage, x, z: stage.ground(x, z))


def _light(stage: Stage, style: str, camera: Camera, seconds: Tensor, hits: Hits, solids: list, sample: int) -> Tensor:
    """(F, H, W, 3) of one ray a pixel: sRGB of the synthetic style, linear light of the photoreal."""
    surface = _describe(stage, hits, seconds)
    if style == "synthetic":
        lit = sunlit(stage, camera, seconds, hits, stage.sun(), solids)
        return shade_synthetic(surface, hits, lit, stage.sun())
    look = TOWN_LOOKS[style.partition(".")[2] or "day"]
    light = town_light(stage, [look], camera, seconds, hits, solids, sample)
    return town_radiance(stage, {style: look}, camera, surface, hits, light)[style]
