"""People with limbs, on foot and on bicycles: joints as functions of time, and the solids that hang between them."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import pi
from random import Random

import torch
from torch import Tensor

from .. import tags
from ..materials import CLOTH_PAINTS, FLAT_PAINT, INDEX
from ..shapes import Solid
from .motion import Drive, Pose, Walk, drive_poses

JOINTS = (
    "hips", "neck", "head",
    "left_hip", "left_knee", "left_ankle", "right_hip", "right_knee", "right_ankle",
    "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
)  # fmt: skip
SIDES = ("left", "right")
# Lengths as shares of the height; the ankle is FOOT above the sole, a saddle SADDLE up.
THIGH, SHIN, UPPER_ARM, FOREARM, TRUNK, FOOT = 0.245, 0.235, 0.165, 0.15, 0.29, 0.045
WHEEL_RADIUS, CRANK, CRANK_HEIGHT, SADDLE, SADDLE_BACK = 0.34, 0.17, 0.30, 0.53, -0.22
SKIN_PAINTS = ((1.0, 0.80, 0.66), (0.90, 0.66, 0.48), (0.62, 0.42, 0.28), (0.40, 0.26, 0.18))


@dataclass(frozen=True, eq=False)
class Figure:
    """A person of `height` metres carried by `body`; phase in radians shifts the gait. riding: on a bicycle."""

    instance: int
    body: Walk | Drive
    height: float
    phase: float
    riding: bool = False

    def joints_at(self, seconds: Tensor) -> Tensor:
        """World positions (F, J, 3) of JOINTS."""
        return joints_of([self], {self.body: self.body.pose_at(seconds)}, seconds)[0]


def joints_of(figures: list[Figure], bodies: dict, seconds: Tensor) -> Tensor:
    """World positions (M, F, J, 3) of the joints of figures that all walk or all ride; bodies: poses by motion."""
    position, rotation = (torch.stack([bodies[figure.body][i] for figure in figures]) for i in range(2))
    column = [[f.height, f.phase, f.body.speed] for f in figures]
    height, phase, speed = torch.tensor(column, dtype=torch.float64)[:, None].unbind(-1)
    gait = _riding if figures[0].riding else _walking
    local = gait(seconds.double()[None], height, phase, speed).float()
    return position[:, :, None] + local @ rotation.transpose(2, 3)


def _walking(time: Tensor, h: Tensor, phase: Tensor, speed: Tensor) -> Tensor:
    """Thighs swing against each other and arms against them; the hips are so high that the lower foot stands."""
    pace = speed.abs()
    swing = (0.36 * pace).clamp(0.05, 0.55)
    step = 2 * pi * time * pace / (4 * swing * (THIGH + SHIN) * h) + phase
    joints, drops = {}, []
    for side, sign in (("left", -1.0), ("right", 1.0)):
        angle = sign * step.sin() * swing
        lower = angle - (0.15 + 0.9 * (sign * step.cos()).clamp(min=0)) * (swing / 0.55)
        knee = _link(angle, THIGH * h)
        ankle = knee + _link(lower, SHIN * h)
        drops.append(-ankle[..., 1])
        elbow = _link(-0.8 * angle, UPPER_ARM * h)
        wrist = elbow + _link(0.35 - 0.8 * angle, FOREARM * h)
        joints |= {f"{side}_knee": knee, f"{side}_ankle": ankle, f"{side}_elbow": elbow, f"{side}_wrist": wrist}
    return _assemble(joints, torch.maximum(*drops) + FOOT * h, 0.02 * h, 0.0, h)


def _riding(time: Tensor, h: Tensor, phase: Tensor, speed: Tensor) -> Tensor:
    """Feet on the pedals by two-link inverse kinematics, hands on the bar."""
    crank, zero = speed.abs() * time / 0.9 + phase, 0 * (time + h)
    joints = {}
    for side, turn in (("left", 0.0), ("right", pi)):
        pedal_y, pedal_z = CRANK_HEIGHT + 0.05 - CRANK * torch.sin(crank + turn), CRANK * torch.cos(crank + turn) - 0.02
        reach = torch.stack([zero, pedal_y - SADDLE * h, pedal_z - SADDLE_BACK], -1)
        grip = torch.stack([zero, 0.98 - (SADDLE + TRUNK) * h + zero, 0.36 - SADDLE_BACK - 0.16 * h + zero], -1)
        elbow = 0.5 * grip - torch.tensor([0.0, 0.06, 0.0], dtype=torch.float64)
        joints |= {f"{side}_knee": _bend_forward(reach, THIGH * h, SHIN * h), f"{side}_ankle": reach}
        joints |= {f"{side}_elbow": elbow, f"{side}_wrist": grip}
    return _assemble(joints, SADDLE * h + zero, 0.16 * h, SADDLE_BACK, h)


def _link(angle: Tensor, length: Tensor) -> Tensor:
    """(..., 3): a limb that hangs down at angle 0 and swings forward."""
    return torch.stack([0 * angle, -angle.cos() * length, angle.sin() * length], -1)


def _assemble(joints: dict, hips: Tensor, lean: Tensor, back: float, h: Tensor) -> Tensor:
    """Place limbs, given from their own hip or shoulder, on a trunk: hips so high and so far back, neck leaning on."""
    zero = 0 * hips

    def at(x: float, y: Tensor, z: Tensor) -> Tensor:
        return torch.stack([x * h + zero, y + zero, z + back + zero], -1)

    places = {
        "hips": at(0.0, hips, zero),
        "neck": at(0.0, hips + (TRUNK + 0.02) * h, lean),
        "head": at(0.0, hips + (TRUNK + 0.115) * h, 1.1 * lean),
    }
    for side, sign in (("left", -1.0), ("right", 1.0)):
        hip, shoulder = at(sign * 0.055, hips, zero), at(sign * 0.115, hips + TRUNK * h, lean)
        places |= {f"{side}_hip": hip, f"{side}_shoulder": shoulder}
        places |= {f"{side}_{part}": hip + joints[f"{side}_{part}"] for part in ("knee", "ankle")}
        places |= {f"{side}_{part}": shoulder + joints[f"{side}_{part}"] for part in ("elbow", "wrist")}
    return torch.stack([places[name] for name in JOINTS], dim=-2)


def _bend_forward(reach: Tensor, upper: Tensor, lower: Tensor) -> Tensor:
    """The middle joint (..., 3) of two links in the y-z plane that span `reach`, bent towards +z."""
    span = torch.minimum(reach.norm(dim=-1), 0.999 * (upper + lower))
    unit = reach / reach.norm(dim=-1, keepdim=True)
    along = (upper**2 - lower**2 + span**2) / (2 * span)
    aside = (upper**2 - along**2).clamp(min=0).sqrt()
    normal = torch.stack([unit[..., 0] * 0, unit[..., 2], -unit[..., 1]], -1)
    return unit * along[..., None] + normal * aside[..., None]


@dataclass(frozen=True, eq=False)
class Bone:
    """The frame of a limb: its origin at one joint, its own -y axis towards the next, its right the body's."""

    figure: Figure
    upper: int
    lower: int

    def pose_at(self, seconds: Tensor) -> Pose:
        """Pose at each of the F times."""
        return poses_of([self], seconds)[self]


def poses_of(motions: Iterable, seconds: Tensor) -> dict:
    """The poses of many motions through one town at once, by motion."""
    bones = [motion for motion in motions if isinstance(motion, Bone)]
    figures = {bone.figure: None for bone in bones}
    bodies = {figure.body for figure in figures} | {motion for motion in motions if not isinstance(motion, Bone)}
    poses = drive_poses([body for body in bodies if isinstance(body, Drive)], seconds)
    poses |= {body: body.pose_at(seconds) for body in bodies if not isinstance(body, Drive)}
    joints = {}
    for riding in (False, True):
        some = [figure for figure in figures if figure.riding == riding]
        if some:
            joints |= dict(zip(some, joints_of(some, poses, seconds), strict=True))
    if bones:
        rows = torch.arange(len(bones))
        places = torch.stack([joints[bone.figure] for bone in bones])
        top = places[rows, :, [bone.upper for bone in bones]]
        up = torch.nn.functional.normalize(top - places[rows, :, [bone.lower for bone in bones]], dim=-1)
        right = torch.stack([poses[bone.figure.body][1][..., 0] for bone in bones])
        right = torch.nn.functional.normalize(right - (right * up).sum(-1, keepdim=True) * up, dim=-1)
        turned = torch.stack([right, up, torch.linalg.cross(right, up)], dim=-1)
        poses |= {bone: (top[i], turned[i]) for i, bone in enumerate(bones)}
    return poses


def figure_solids(figure: Figure, rng: Random) -> list[Solid]:
    """Ten solids between the joints."""
    h, tag = figure.height, tags.RIDER if figure.riding else tags.PEDESTRIAN
    legs, chest, skin = rng.choice(CLOTH_PAINTS), rng.choice(CLOTH_PAINTS), rng.choice(SKIN_PAINTS)
    solids = []

    def limb(upper: str, lower: str, length: float, half: tuple, material: str, paint: tuple, start: float = 0.0):
        centre = (0.0, -(length - start) / 2, 0.0)
        size = (half[0], (length + start) / 2, half[1])
        bone = Bone(figure, JOINTS.index(upper), JOINTS.index(lower))
        common = {"motion": bone, "centre": centre}
        at = ((0.0, 0.0, 0.0), INDEX[material], tag, figure.instance, paint, size)
        if material == "skin":
            solids.append(Solid(*at, radii=size, **common))
        else:
            solids.append(Solid(*at, **common))

    trunk = 0.31 * h
    limb("neck", "hips", trunk, (0.115 * h, 0.07 * h), "cloth", chest)
    limb("head", "neck", 0.065 * h, (0.055 * h, 0.065 * h), "skin", skin, start=0.085 * h)
    for side in SIDES:
        limb(f"{side}_hip", f"{side}_knee", THIGH * h, (0.05 * h, 0.055 * h), "cloth", legs, start=0.03 * h)
        limb(f"{side}_knee", f"{side}_ankle", (SHIN + FOOT) * h, (0.036 * h, 0.042 * h), "cloth", legs)
        limb(f"{side}_shoulder", f"{side}_elbow", UPPER_ARM * h, (0.03 * h, 0.035 * h), "cloth", chest, 0.02 * h)
        limb(f"{side}_elbow", f"{side}_wrist", FOREARM * h + 0.05 * h, (0.024 * h, 0.028 * h), "skin", skin)
    return solids


def bicycle_solids(drive: Drive, instance: int, rng: Random) -> list[Solid]:
    """Two wheels, a frame and a bar, carried by the same drive as the rider."""
    paint = rng.choice(CLOTH_PAINTS)
    solids = []
    for z in (-0.52, 0.52):
        centre, size = (0.0, WHEEL_RADIUS, z), (0.025, WHEEL_RADIUS, WHEEL_RADIUS)
        solids.append(_part("tyre", FLAT_PAINT["tyre"], instance, drive, centre, size, round=True))
    for centre, half in (((0.0, 0.55, -0.02), (0.02, 0.22, 0.40)), ((0.0, 0.98, 0.36), (0.25, 0.025, 0.03))):
        solids.append(_part("car_body", paint, instance, drive, centre, half))
    return solids


def _part(material: str, paint: tuple, instance: int, drive: Drive, centre: tuple, half: tuple, **more) -> Solid:
    return Solid(
        (0.0, 0.0, 0.0), INDEX[material], tags.BICYCLE, instance, paint, half, centre=centre, motion=drive, **more
    )  # fmt: skip
