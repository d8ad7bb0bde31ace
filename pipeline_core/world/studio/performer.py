"""People of a studio: a motion at a place of the floor, and the solids that their segments carry."""

from dataclasses import dataclass
from functools import cached_property
from random import Random

import torch
from torch import Tensor

from .. import tags
from ..materials import CLOTH_PAINTS, INDEX
from ..shapes import Solid
from ..town.motion import Pose
from ..town.people import SKIN_PAINTS
from .cycle import Cycle
from .skeleton import AT, COCO, ORIGINS, SEGMENTS, SIDES, about_y

CLOTH_NAMES = ("red", "blue", "yellow", "black", "white", "green")  # of CLOTH_PAINTS
HAIR_PAINTS = ((0.10, 0.07, 0.05), (0.35, 0.20, 0.10), (0.75, 0.60, 0.30), (0.45, 0.44, 0.42))
SHOE_PAINTS = ((0.92, 0.92, 0.92), (0.12, 0.12, 0.13), (0.75, 0.12, 0.12))


@dataclass(frozen=True, eq=False)
class Performer:
    """A person who does a motion, of which time `middle` happens at `place` (x, z) of the floor, facing `heading`."""

    instance: int
    cycle: Cycle
    place: tuple[float, float]
    heading: float
    middle: float = 0.0

    def posed(self, seconds: Tensor) -> tuple[Tensor, Tensor]:
        """World places (F, J, 3) of skeleton.JOINTS and rotations (F, S, 3, 3) of its SEGMENTS, float32."""
        joints, turned = self.cycle.at(seconds)
        facing = about_y(torch.tensor(self.heading, dtype=torch.float64))
        at = torch.tensor([self.place[0], 0.0, self.place[1]], dtype=torch.float64)
        return ((joints - self._reached) @ facing.mT + at).float(), (facing @ turned).float()

    def keypoints(self, seconds: Tensor) -> Tensor:
        """World places (F, 17, 3) of COCO's keypoints."""
        return self.posed(seconds)[0][:, : len(COCO)]

    @cached_property
    def _reached(self) -> Tensor:
        hips = self.cycle.at(torch.tensor([self.middle]))[0][0, AT["hips"]]
        return hips * torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)


@dataclass(frozen=True)
class Segment:
    """What a solid of a body hangs from."""

    performer: Performer
    index: int

    def pose_at(self, seconds: Tensor) -> Pose:
        """Pose at each of the F times."""
        return segment_pose(self.performer.posed(seconds), self.index)


def segment_pose(posed: tuple[Tensor, Tensor], index: int) -> Pose:
    """The pose of SEGMENTS[index] in what `Performer.posed` gives."""
    joints, turned = posed
    return joints[:, AT[ORIGINS[SEGMENTS[index]]]], turned[:, index]


# (segment or a side's part, what it wears, centre, half sizes), shares of the height. Simple bodies are boxes.
SIMPLE = (
    ("trunk", "shirt", (0.0, 0.15, 0.0), (0.105, 0.165, 0.065)),
    ("head", "skin", (0.0, 0.105, 0.0), (0.05, 0.07, 0.055)),
    ("upper_arm", "shirt", (0.0, -0.075, 0.0), (0.027, 0.10, 0.03)),
    ("forearm", "skin", (0.0, -0.105, 0.0), (0.022, 0.115, 0.026)),
    ("thigh", "trousers", (0.0, -0.115, 0.0), (0.045, 0.14, 0.05)),
    ("shin", "trousers", (0.0, -0.125, 0.0), (0.034, 0.14, 0.038)),
    ("foot", "shoes", (0.0, -0.025, 0.035), (0.03, 0.02, 0.07)),
)
DETAILED = (
    ("pelvis", "trousers", (0.0, 0.012, 0.0), (0.093, 0.078, 0.068)),
    ("trunk", "shirt", (0.0, 0.105, 0.0), (0.083, 0.11, 0.058)),
    ("trunk", "shirt", (0.0, 0.215, 0.0), (0.118, 0.098, 0.070)),
    ("trunk", "skin", (0.0, 0.315, 0.0), (0.030, 0.045, 0.030)),
    ("head", "skin", (0.0, 0.100, 0.006), (0.048, 0.068, 0.056)),
    ("head", "hair", (0.0, 0.118, -0.012), (0.053, 0.064, 0.056)),
    ("head", "skin", (0.0, 0.092, 0.062), (0.009, 0.013, 0.012)),
    ("upper_arm", "shirt", (0.0, -0.010, 0.0), (0.036, 0.036, 0.036)),
    ("upper_arm", "shirt", (0.0, -0.080, 0.0), (0.029, 0.100, 0.031)),
    ("forearm", "skin", (0.0, 0.0, 0.0), (0.025, 0.025, 0.025)),
    ("forearm", "skin", (0.0, -0.075, 0.0), (0.023, 0.090, 0.025)),
    ("hand", "skin", (0.0, -0.046, 0.0), (0.012, 0.048, 0.025)),
    ("thigh", "trousers", (0.0, -0.115, 0.0), (0.050, 0.150, 0.054)),
    ("shin", "legs", (0.0, 0.0, 0.002), (0.037, 0.037, 0.039)),
    ("shin", "legs", (0.0, -0.110, -0.004), (0.034, 0.135, 0.038)),
    ("foot", "shoes", (0.0, -0.018, 0.034), (0.030, 0.027, 0.072)),
)  # fmt: skip


def body_solids(performer: Performer, detailed: bool, rng: Random) -> tuple[list[Solid], dict[str, str]]:
    """The solids of a performer, and the names of what it wears.

    detailed: rounded limbs with hands, hair and a face.
    """
    shirt, trousers = rng.sample(range(len(CLOTH_PAINTS)), 2)
    skin, shorts = rng.choice(SKIN_PAINTS), rng.random() < 0.4
    paints = {
        "shirt": CLOTH_PAINTS[shirt], "trousers": CLOTH_PAINTS[trousers], "skin": skin,
        "legs": skin if shorts else CLOTH_PAINTS[trousers], "hair": rng.choice(HAIR_PAINTS),
        "shoes": rng.choice(SHOE_PAINTS),
    }  # fmt: skip
    solids = []
    for name, wears, centre, half in DETAILED if detailed else SIMPLE:
        for segment in (name,) if name in SEGMENTS else (f"{side}_{name}" for side in SIDES):
            size = tuple(performer.cycle.height * share for share in half)
            bare = wears == "skin" or (wears == "legs" and shorts)
            solids.append(
                Solid(
                    (0.0, 0.0, 0.0), INDEX["skin" if bare else "cloth"], tags.PEDESTRIAN, performer.instance,
                    paints[wears], size, radii=size if detailed else None,
                    centre=tuple(performer.cycle.height * share for share in centre),
                    motion=Segment(performer, SEGMENTS.index(segment)),
                )
            )  # fmt: skip
    return solids, {"shirt": CLOTH_NAMES[shirt], "trousers": CLOTH_NAMES[trousers], "shorts": shorts and detailed}
