"""Failures planted in enhanced clips, where the world's own buffers say what stands where: for benchmarks/gate.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline_core.conditions.segmentation import TAG, VEHICLE_TAGS
from pipeline_core.metrics.objects import LampColours
from pipeline_core.world import Render, make_scene, render

LEAST_CAR, LEAST_LAMP = 60, 6  # pixels in the middle frame; frames in view
LEAST_INVENTED = 0.01  # share of all frames
STEP, FLICKER = 0.03, 0.03  # of brightness, 1 is white
# A lit lamp's colour by its state, for a brightest channel of 1.
LIT = {"red": (1.0, 0.15, 0.12), "yellow": (1.0, 0.72, 0.12), "green": (0.1, 1.0, 0.55)}


def cars(clip: Render) -> list[int]:
    """Instances of the vehicles that can be lost, of LEAST_CAR pixels and more in the middle frame."""
    middle = len(clip.rgb) // 2
    vehicles = torch.isin(clip.classes[middle].long(), torch.tensor(VEHICLE_TAGS))
    ids, counts = clip.instances[middle][vehicles].unique(return_counts=True)
    return ids[(counts >= LEAST_CAR) & (ids != 0)].tolist()


def lamps(clip: Render) -> list[int]:
    """Instances of the traffic lights whose lamp is in view, and large enough to be judged, in LEAST_LAMP frames."""
    metric = LampColours(clip.lights)
    metric.update(clip.rgb)
    views = [decision.instance for decision in metric.decisions]
    return sorted({name for name in views if views.count(name) >= LEAST_LAMP})


def can_fail(clip: Render) -> bool:
    """Does the scene show a car and a lamp, so that every failure can be planted."""
    return bool(cars(clip)) and bool(lamps(clip))


def wrong_lamp(result: Tensor, clip: Render, rng: Random) -> Tensor:
    """One traffic light shows another colour, in all frames."""
    result, name = result.clone(), rng.choice(lamps(clip))
    light = next(light for light in clip.lights if light["instance"] == name)
    other = rng.choice(sorted(LIT.keys() - set(light["state"])))
    for t, box in enumerate(light["lamp_box"]):
        if box is not None:
            place = _disc(box, *result.shape[1:3]) & (clip.instances[t] == name)
            result[t][place] = result[t][place].amax(-1, keepdim=True) * torch.tensor(LIT[other])
    return result


def lost_car(result: Tensor, clip: Render, rng: Random) -> Tensor:
    """One car is gone: in its place, and a pixel or two around, is the photoreal street without it."""
    name = rng.choice(cars(clip))
    street = without(clip, name, "photoreal.day").rgb
    place = F.max_pool2d((clip.instances == name).float()[:, None], 5, 1, 2)[:, 0] > 0
    return torch.where(place[..., None], street, result)


def without(clip: Render, name: int, style: str = "synthetic") -> Render:
    """The clip's scene without one of its objects."""
    scene = make_scene(clip.scene["seed"])
    empty = replace(scene, solids=tuple(solid for solid in scene.solids if solid.instance != name))
    return render(empty, len(clip.rgb), tuple(clip.rgb.shape[1:3]), style)


def inventable(clip: Render, tags: Iterable[int]) -> list[int]:
    """Instances of these classes that take LEAST_INVENTED of all frames and more."""
    wanted = torch.isin(clip.classes.long(), torch.tensor(tuple(tags)))
    ids, counts = clip.instances[wanted].unique(return_counts=True)
    return ids[(counts >= LEAST_INVENTED * wanted.numel()) & (ids != 0)].tolist()


def seam(result: Tensor, clip: Render, rng: Random) -> Tensor:
    """From one frame on all are brighter or darker."""
    start, sign = rng.randrange(4, len(result) - 3), rng.choice((-1, 1))
    return torch.cat([result[:start], (result[start:] + sign * STEP).clamp(0, 1)])


def flicker(result: Tensor, clip: Render, rng: Random) -> Tensor:
    """Every frame's brightness is off by an amount of its own."""
    offsets = torch.tensor([rng.uniform(-FLICKER, FLICKER) for _ in result])
    return (result + offsets[:, None, None, None]).clamp(0, 1)


def collapsed_frame(result: Tensor, clip: Render, rng: Random) -> Tensor:
    """One frame is flat, black, or the one before it once more."""
    result, place = result.clone(), rng.randrange(1, len(result))
    kind = rng.choice(("flat", "black", "frozen"))
    result[place] = {"flat": result[place].mean((0, 1)), "black": 0.0 * result[place], "frozen": result[place - 1]}[
        kind
    ]
    return result


FAILURES: dict[str, Callable[[Tensor, Render, Random], Tensor]] = {
    "wrong lamp": wrong_lamp,
    "lost car": lost_car,
    "seam": seam,
    "flicker": flicker,
    "collapsed frame": collapsed_frame,
}
# An object was invented where the result shows one that its source does not have: here the model drew it, for its own
# source had it, and the result is judged beside the same scene without it.
INVENTED: dict[str, tuple[int, ...]] = {"invented car": VEHICLE_TAGS, "invented light": (TAG["traffic light"],)}


def _disc(box: list[float], height: int, width: int) -> Tensor:
    """Pixels whose centres lie in the ellipse inscribed in a box grown by half a pixel."""
    x0, y0, x1, y1 = box
    y = (torch.arange(height) + 0.5 - (y0 + y1) / 2) / ((y1 - y0) / 2 + 0.5)
    x = (torch.arange(width) + 0.5 - (x0 + x1) / 2) / ((x1 - x0) / 2 + 0.5)
    return y[:, None] ** 2 + x[None] ** 2 <= 1
