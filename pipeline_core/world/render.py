"""Render a scene in one style, with every buffer a simulator could give."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import cos, sin

import torch
from torch import Tensor

from ..errors import UserError
from .camera import Camera
from .captions import STYLES, caption, description
from .looks import LOOKS, Look
from .objects import HEAD_HALF, LAMP_RADIUS, LAMP_SPACING
from .photoreal import develop, street_light, street_radiance
from .raycast import Hits, cast, sunlit, visible_solids
from .scene import SKY, Scene
from .surfaces import LAMP_ORDER, Surface, describe
from .synthetic import shade_synthetic
from .town.looks import TOWN_LOOKS
from .town.photoreal import town_light, town_radiance
from .town.scene import Town
from .town.sensor import town_develop
from .town.surfaces import describe_town


@dataclass(frozen=True)
class Painter:
    """How a version of the world is painted. samples: rays per pixel of the photoreal style: where in the pixel (x, y)
    and how many frames away; two on the diagonal, plus the lens blur, stand for a camera's low-pass filter."""

    describe: Callable
    looks: dict[str, Look]
    light: Callable
    radiance: Callable
    develop: Callable
    samples: tuple[tuple[float, float, float], ...]


# Version 2 opens its shutter for half a frame: one ray falls early, one late.
PAINTERS = {
    1: Painter(describe, LOOKS, street_light, street_radiance, develop, ((0.27, 0.27, 0.0), (0.73, 0.73, 0.0))),
    2: Painter(
        describe_town, TOWN_LOOKS, town_light, town_radiance, town_develop, ((0.27, 0.27, -0.125), (0.73, 0.73, 0.125))
    ),
}
# Rays traced at once: at few, PyTorch's calls cost more than their work; at many, memory does.
RAYS = 2**18
FAR_PLANE = 1000.0  # metres at which a buffers folder stores the sky


@dataclass(frozen=True)
class Render:
    """A rendered clip of T frames.

    rgb (T, H, W, 3) sRGB in [0, 1]; depth (T, H, W) metres along the axis, inf in the sky; classes (T, H, W) uint8
    CARLA tags; instances (T, H, W) int32, 0 for none; flow (T, H, W, 2) pixels (dx, dy) from frame t to t + 1;
    lights: dicts of instance, state, box, lamp_box (x0, y0, x1, y1 in pixels or None) and visible (share of the lit
    lamp's disc that is in view) with one entry per frame; scene: what a simulator knows, as plain data; camera: the
    poses of all frames; joints: world positions (T, J, 3) of `JOINTS` by instance, of all people of a town, in view or
    not.

    All are of the same pinhole camera at the middle of each frame's exposure, in every style: no lens distorts, and no
    shutter rolls.
    """

    rgb: Tensor
    depth: Tensor
    classes: Tensor
    instances: Tensor
    flow: Tensor
    lights: list[dict]
    scene: dict
    camera: Camera | None = None
    joints: dict[int, Tensor] = field(default_factory=dict)


class RenderedBuffers:
    """A render behind the interface of a buffers folder (conditions/buffers.py): its maps without any file."""

    channels = ("depth", "semantic", "instance", "flow")

    def __init__(self, clip: Render) -> None:
        self._clip, self.frames, self.lights = clip, len(clip.rgb), clip.lights
        self.scene = clip.scene if clip.camera is None else {**clip.scene, "cameras": clip.camera.matrices()}
        self.height, self.width = clip.rgb.shape[1:3]

    def depth(self, start: int = 0, stop: int | None = None) -> Tensor:
        return self._clip.depth[start:stop].clamp(max=FAR_PLANE)

    def classes(self, start: int = 0, stop: int | None = None) -> Tensor:
        return self._clip.classes[start:stop]

    def instances(self, start: int = 0, stop: int | None = None) -> Tensor:
        return self._clip.instances[start:stop]

    def flow(self, start: int = 0, stop: int | None = None) -> Tensor:
        return self._clip.flow[start:stop]


def render(
    scene: Scene | Town, frames: int | range = 17, size: tuple[int, int] = (96, 160), style: str = "synthetic"
) -> Render:
    """Render `frames` (a count or a range of global frame numbers) at size (height, width).

    style: "synthetic", or "photoreal" (day), or "photoreal.day", ".dusk", ".night", ".rain", ".fog", ".snow".
    """
    return render_styles(scene, frames, size, (style,))[style]


def render_styles(
    scene: Scene | Town,
    frames: int | range = 17,
    size: tuple[int, int] = (96, 160),
    styles: tuple[str, ...] = ("synthetic",),
) -> dict[str, Render]:
    """`render` for several styles at once, tracing the rays only once."""
    numbers = range(frames) if isinstance(frames, int) else frames
    check_render(numbers, size, styles)
    count = frames_at_once(size)
    pieces = [_render_chunk(scene, numbers[i : i + count], size, styles) for i in range(0, len(numbers), count)]
    lights = _join_lights([piece["lights"] for piece in pieces])
    shared = {key: torch.cat([piece[key] for piece in pieces]) for key in ("depth", "classes", "instances", "flow")}
    return {
        style: Render(
            rgb=torch.cat([piece[style] for piece in pieces]),
            lights=lights,
            scene=scene_data(scene, style),
            camera=scene.camera(torch.tensor(list(numbers)), *size),
            joints=scene.joints_at(torch.tensor(list(numbers))),
            **shared,
        )
        for style in styles
    }


def frames_at_once(size: tuple[int, int]) -> int:
    """How many frames of size (height, width) are traced together: pieces of so many take a second or two."""
    return max(1, RAYS // max(1, size[0] * size[1]))


def scene_data(scene: Scene | Town, style: str) -> dict:
    """What is written beside a clip: seed, style, frame rate, caption, description (no style words), objects."""
    return {
        "seed": scene.seed,
        "style": style,
        "fps": scene.fps,
        "caption": caption(scene, style),
        "description": description(scene),
        "objects": list(scene.objects),
    }


def check_render(numbers: range, size: tuple[int, int], styles: tuple[str, ...]) -> None:
    """UserError for no frames, a size too small and a style that is none."""
    if len(numbers) < 1:
        raise UserError(f"frames is {numbers} but at least one frame is needed: change frames.")
    if min(size) < 16:
        raise UserError(f"size is {size[0]}x{size[1]} but each side must be at least 16 pixels: change size.")
    for style in styles:
        if style not in STYLES:
            raise UserError(f"style is {style!r} but must be one of {', '.join(STYLES)}: change style.")


def _render_chunk(scene: Scene | Town, numbers: range, size: tuple[int, int], styles: tuple[str, ...]) -> dict:
    paint = PAINTERS[scene.version]
    frame = torch.tensor(list(numbers))
    seconds = frame.to(torch.float32) / scene.fps
    camera, after = scene.camera(frame, *size), scene.camera(frame + 1, *size)
    solids = visible_solids(scene, camera, seconds)
    hits = cast(scene, camera, seconds, solids=solids)
    surface = paint.describe(scene, hits, seconds)
    result = {
        "depth": hits.depth,
        "classes": surface.tag.to(torch.uint8),
        "instances": surface.instance.to(torch.int32),
        "flow": flow_of(scene, camera, after, (frame + 1).to(torch.float32) / scene.fps, hits),
        "lights": _lights(scene, camera, seconds, surface),
    }
    sun = scene.sun()
    if "synthetic" in styles:
        light = sunlit(scene, camera, seconds, hits, sun, solids)
        result["synthetic"] = shade_synthetic(surface, hits, light, sun)
    looks = {style: paint.looks[style.partition(".")[2] or "day"] for style in styles if style != "synthetic"}
    linear = dict.fromkeys(looks, 0.0)
    for sample, (dx, dy, delay) in enumerate(paint.samples if looks else ()):
        then, when, there = camera, seconds, solids
        if delay:
            then, when = scene.camera(frame + delay, *size), (frame + delay) / scene.fps
            there = visible_solids(scene, then, when)
        sampled = cast(scene, then, when, dx, dy, there)
        described = paint.describe(scene, sampled, when)
        light = paint.light(scene, list(looks.values()), then, when, sampled, there, sample)
        for style, arriving in paint.radiance(scene, looks, then, described, sampled, light).items():
            linear[style] = linear[style] + arriving
    for style, look in looks.items():
        result[style] = paint.develop(scene, linear[style] / len(paint.samples), look, numbers[0])
    return result


def flow_of(scene: Scene | Town, camera: Camera, after: Camera, later: Tensor, hits: Hits) -> Tensor:
    """Where the point under each pixel centre is seen one frame later, minus where it is now. later: (F,) seconds."""
    velocity = torch.tensor([s.velocity for s in scene.solids] + [(0.0, 0.0, 0.0)])
    moved = hits.point + velocity[torch.where(hits.solid >= 0, hits.solid.long(), len(scene.solids))] / scene.fps
    positions, rotations = scene.poses(later)
    if rotations:
        slots = torch.full((len(scene.solids) + 1,), -1)
        slots[list(rotations)] = torch.arange(len(rotations))
        slot = slots[torch.where(hits.solid >= 0, hits.solid.long(), len(scene.solids))]
        frames, rows, columns = (slot >= 0).nonzero(as_tuple=True)
        rotation = torch.stack(list(rotations.values()))[slot[frames, rows, columns], frames]
        carried = torch.einsum("nij,nj->ni", rotation, hits.local[frames, rows, columns])
        moved[frames, rows, columns] = positions[hits.solid[frames, rows, columns].long(), frames] + carried
    # The sky is infinitely far: it turns with the camera but does not come nearer.
    sky = hits.solid == SKY
    step = (after.position - camera.position)[:, None, None, :]
    moved = torch.where(sky[..., None], hits.point + step, moved)
    here, _ = camera.project(hits.point)
    there, _ = after.project(moved)
    return there - here


def _lights(scene: Scene | Town, camera: Camera, seconds: Tensor, surface: Surface) -> list[dict]:
    """Per light: state, projected head and lit-lamp boxes, and how much of the lit lamp is in view."""
    listed = []
    for light in scene.lights:
        entry = {"instance": light.instance, "state": [], "box": [], "lamp_box": [], "visible": []}
        for index, second in enumerate(seconds.tolist()):
            state = light.state_at(second)
            x, y, z = light.position
            lamp_y = y + LAMP_SPACING * (1 - LAMP_ORDER.index(state))
            front = (x - HEAD_HALF[2] * sin(light.yaw), z - HEAD_HALF[2] * cos(light.yaw))
            entry["state"].append(state)
            entry["box"].append(_box(camera, index, (front[0], y, front[1]), light.yaw, HEAD_HALF[0], HEAD_HALF[1]))
            box = _box(camera, index, (front[0], lamp_y, front[1]), light.yaw, LAMP_RADIUS, LAMP_RADIUS)
            entry["lamp_box"].append(box)
            mine = (surface.instance[index] == light.instance) & (surface.lamp[index] > 0)
            area = 0.7854 * (box[2] - box[0]) * (box[3] - box[1]) if box else 0.0
            entry["visible"].append(min(1.0, float(mine.sum()) / area) if area > 0 else 0.0)
        if any(entry["box"]):
            listed.append(entry)
    return listed


def _box(
    camera: Camera, index: int, centre: tuple, yaw: float, half_across: float, half_up: float
) -> list[float] | None:
    x, y, z = centre
    ax, az = half_across * cos(yaw), half_across * sin(yaw)
    corners = torch.tensor([[[x - ax, y + half_up, z + az], [x + ax, y - half_up, z - az]]])
    pixels, depth = camera.pose(index).project(corners)
    if float(depth.min()) < 0.5:
        return None
    (x0, y0), (x1, y1) = pixels[0].tolist()
    if x1 <= x0 or y1 <= y0:  # seen from behind
        return None
    inside = x1 > 0 and y1 > 0 and x0 < camera.width and y0 < camera.height
    return [x0, y0, x1, y1] if inside else None


def _join_lights(chunks: list[list[dict]]) -> list[dict]:
    """One entry per light over all chunks; absent (None) where a chunk did not see it."""
    lengths = [max((len(light["state"]) for light in chunk), default=0) for chunk in chunks]
    instances = sorted({light["instance"] for chunk in chunks for light in chunk})
    joined = []
    for instance in instances:
        entry = {"instance": instance, "state": [], "box": [], "lamp_box": [], "visible": []}
        for chunk, length in zip(chunks, lengths, strict=True):
            seen = next((light for light in chunk if light["instance"] == instance), None)
            for key in ("state", "box", "lamp_box", "visible"):
                entry[key] += seen[key] if seen else [None if key != "visible" else 0.0] * length
        joined.append(entry)
    return joined
