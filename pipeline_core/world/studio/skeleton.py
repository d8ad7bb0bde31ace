"""A skeleton by forward kinematics over fixed bone lengths: whatever the angles are, no limb is stretched.

A body's own frame has x to its right, y up and z forward, its origin between the hips; lengths are shares of its
height.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

SIDES = ("left", "right")
SIGNS = {"left": -1.0, "right": 1.0}
COCO = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
# COCO's seventeen come first, in its order; soles and finger tips are what touches the ground.
CONTACTS = ("left_heel", "left_toe", "right_heel", "right_toe", "left_fingers", "right_fingers")
JOINTS = (*COCO, "hips", "neck", "head", *CONTACTS)
AT = {name: index for index, name in enumerate(JOINTS)}
PARTS = ("upper_arm", "forearm", "hand", "thigh", "shin", "foot")
SEGMENTS = ("pelvis", "trunk", "head", *(f"{side}_{part}" for side in SIDES for part in PARTS))
# The joint that each segment hangs from.
ORIGINS = {"pelvis": "hips", "trunk": "hips", "head": "neck"}
ORIGINS |= {
    f"{side}_{part}": f"{side}_{joint}"
    for side in SIDES
    for part, joint in zip(PARTS, ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"), strict=True)
}

THIGH, SHIN, UPPER_ARM, FOREARM, HAND = 0.245, 0.235, 0.165, 0.15, 0.09
HIP, SHOULDER, NECK, HEAD = (0.055, 0.0), (0.118, 0.29), 0.31, 0.105  # (aside, up) of a side's joint; up
SOLE, TOE, HEEL = 0.045, 0.105, 0.035  # of the ankle: above the sole, behind the toes, before the heel
FACE = {"nose": (0.0, 0.09, 0.07), "eye": (0.019, 0.115, 0.056), "ear": (0.05, 0.10, 0.0)}  # from the neck

# Radians, all 0 in a body that stands with hanging arms. lean, side, twist: of the trunk, forward, to the right, to the
# right; nod, look: of the head; raise, spread: of an arm, forward and outward; thigh, straddle: of a leg, likewise;
# elbow and knee bend, wrist and foot lift hand and toes.
ANGLES = ("lean", "side", "twist", "nod", "look")
SIDE_ANGLES = ("raise", "spread", "elbow", "wrist", "thigh", "straddle", "knee", "foot")


def about_x(angle: Tensor) -> Tensor:
    """(..., 3, 3): what hangs swings forward."""
    return _matrix(angle, ((1, 0, 0), (0, "c", "s"), (0, "-s", "c")))


def about_y(angle: Tensor) -> Tensor:
    """(..., 3, 3): what looks forward turns to the right."""
    return _matrix(angle, (("c", 0, "s"), (0, 1, 0), ("-s", 0, "c")))


def about_z(angle: Tensor) -> Tensor:
    """(..., 3, 3): what hangs swings to the right."""
    return _matrix(angle, (("c", "-s", 0), ("s", "c", 0), (0, 0, 1)))


def _matrix(angle: Tensor, rows: tuple) -> Tensor:
    zero = torch.zeros_like(angle)
    cells = {"c": angle.cos(), "s": angle.sin(), "-s": -angle.sin(), 0: zero, 1: zero + 1}
    return torch.stack([torch.stack([cells[cell] for cell in row], -1) for row in rows], -2)


def pose(angles: Mapping[str, Tensor], height: float) -> tuple[Tensor, Tensor]:
    """Places (F, J, 3) of JOINTS in metres and rotations (F, S, 3, 3) of SEGMENTS, in the body's own frame.

    angles: (F,) radians by name, those of a side with "left_" or "right_" before them; one that is missing is 0.
    """
    zero = torch.zeros_like(next(iter(angles.values())))

    def angle(name: str) -> Tensor:
        return angles.get(name, zero)

    still = about_x(zero)
    trunk = about_y(angle("twist")) @ about_z(-angle("side")) @ about_x(-angle("lean"))
    head = trunk @ about_y(angle("look")) @ about_x(-angle("nod"))
    turned = {"pelvis": still, "trunk": trunk, "head": head}
    places = {"hips": torch.zeros_like(trunk[..., 0])}
    places["neck"] = _along(trunk, (0.0, NECK, 0.0))
    places["head"] = places["neck"] + _along(head, (0.0, HEAD, 0.0))
    places["nose"] = places["neck"] + _along(head, FACE["nose"])
    for side, sign in SIGNS.items():
        a = {name: angle(f"{side}_{name}") for name in SIDE_ANGLES}
        for part in ("eye", "ear"):
            aside, up, ahead = FACE[part]
            places[f"{side}_{part}"] = places["neck"] + _along(head, (sign * aside, up, ahead))
        upper = trunk @ about_z(sign * a["spread"]) @ about_x(a["raise"])
        fore = upper @ about_x(a["elbow"])
        thigh = about_z(sign * a["straddle"]) @ about_x(a["thigh"])
        shin = thigh @ about_x(-a["knee"])
        limbs = (upper, fore, fore @ about_x(a["wrist"]), thigh, shin, shin @ about_x(a["foot"]))
        turned |= {f"{side}_{part}": limb for part, limb in zip(PARTS, limbs, strict=True)}
        joint = {"shoulder": _along(trunk, (sign * SHOULDER[0], SHOULDER[1], 0.0))}
        joint["elbow"] = joint["shoulder"] + _along(upper, (0.0, -UPPER_ARM, 0.0))
        joint["wrist"] = joint["elbow"] + _along(fore, (0.0, -FOREARM, 0.0))
        joint["fingers"] = joint["wrist"] + _along(limbs[2], (0.0, -HAND, 0.0))
        joint["hip"] = places["hips"] + zero.new_tensor((sign * HIP[0], HIP[1], 0.0))
        joint["knee"] = joint["hip"] + _along(thigh, (0.0, -THIGH, 0.0))
        joint["ankle"] = joint["knee"] + _along(shin, (0.0, -SHIN, 0.0))
        joint["toe"] = joint["ankle"] + _along(limbs[5], (0.0, -SOLE, TOE))
        joint["heel"] = joint["ankle"] + _along(limbs[5], (0.0, -SOLE, -HEEL))
        places |= {f"{side}_{name}": place for name, place in joint.items()}
    joints = height * torch.stack([places[name] for name in JOINTS], -2)
    return joints, torch.stack([turned[name] for name in SEGMENTS], -3)


def _along(rotation: Tensor, place: tuple[float, float, float]) -> Tensor:
    return rotation @ rotation.new_tensor(place)
