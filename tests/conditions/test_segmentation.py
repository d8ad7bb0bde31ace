"""Oracles: Cityscapes' published colours under its own class names, and the inverse lookup."""

import pytest
import torch

from pipeline_core.conditions.painted import classes_of_colours
from pipeline_core.conditions.segmentation import (
    CARLA_TAGS,
    TAG,
    VEHICLE_TAGS,
    current_tags,
    segmentation_map,
)
from pipeline_core.errors import UserError

CITYSCAPES = {
    "road": (128, 64, 128), "sidewalk": (244, 35, 232), "building": (70, 70, 70), "wall": (102, 102, 156),
    "fence": (190, 153, 153), "pole": (153, 153, 153), "traffic light": (250, 170, 30),
    "traffic sign": (220, 220, 0), "vegetation": (107, 142, 35), "terrain": (152, 251, 152),
    "sky": (70, 130, 180), "pedestrian": (220, 20, 60), "rider": (255, 0, 0), "car": (0, 0, 142),
    "truck": (0, 0, 70), "bus": (0, 60, 100), "train": (0, 80, 100),
    "motorcycle": (0, 0, 230), "bicycle": (119, 11, 32),
}  # fmt: skip


def test_the_nineteen_classes_have_cityscapes_colours():
    for name, colour in CITYSCAPES.items():
        painted = segmentation_map(torch.full((1, 1, 1), TAG[name]))
        assert (painted.flatten() * 255).round().int().tolist() == list(colour)


def test_tags_are_complete_and_colours_tell_them_apart():
    assert list(CARLA_TAGS) == list(range(30))
    assert len({colour for _, colour in CARLA_TAGS.values()}) == 30
    assert [CARLA_TAGS[tag][0] for tag in VEHICLE_TAGS][:2] == ["car", "truck"]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_painting_can_be_undone(dtype):
    classes = torch.randint(0, 30, (3, 5, 7), generator=torch.Generator().manual_seed(0))
    painted = segmentation_map(classes.to(dtype))
    assert painted.shape == (3, 5, 7, 3) and painted.dtype == torch.float32
    table = torch.tensor([colour for _, colour in CARLA_TAGS.values()]) / 255
    nearest = torch.cdist(painted.reshape(-1, 3), table).argmin(1).reshape(classes.shape)
    assert torch.equal(nearest, classes)


def test_bad_input():
    with pytest.raises(UserError, match="30"):
        segmentation_map(torch.full((1, 2, 2), 30))
    with pytest.raises(UserError, match="-1"):
        segmentation_map(torch.full((1, 2, 2), -1))
    with pytest.raises(UserError, match="carla"):
        segmentation_map(torch.zeros(1, 2, 2, dtype=torch.long), "rainbow")
    with pytest.raises(UserError):
        segmentation_map(torch.zeros(1, 2, 2))


# The tag table of CARLA's documentation up to 0.9.13, in its own spelling.
OLD = (
    "Unlabeled Building Fence Other Pedestrian Pole RoadLine Road SideWalk Vegetation Vehicles Wall TrafficSign Sky "
    "Ground Bridge RailTrack GuardRail TrafficLight Static Dynamic Water Terrain"
).split()


def test_old_tags_become_the_current_ones_of_the_same_name():
    made = current_tags(torch.arange(len(OLD)).view(1, 1, -1), "0.9.13").flatten().tolist()
    names = [CARLA_TAGS[tag][0].replace(" ", "") for tag in made]
    assert names == [{"vehicles": "car"}.get(name.lower(), name.lower()) for name in OLD]
    same = torch.arange(30, dtype=torch.uint8).view(1, 1, -1)
    assert torch.equal(current_tags(same, "0.9.14"), same)
    for tags, table in ((23, "0.9.13"), (30, "0.9.14"), (1, "0.8")):
        with pytest.raises(UserError):
            current_tags(torch.full((1, 1, 1), tags), table)


def test_cityscapes_palette_has_no_colour_of_its_own():
    """Every colour is one that Cityscapes' label definitions have; a lane mark is road there."""
    others = {(0, 0, 0), (81, 0, 81), (150, 100, 100), (230, 150, 140), (180, 165, 180), (111, 74, 0)}
    painted = (segmentation_map(torch.arange(30).view(1, 1, -1), "cityscapes")[0, 0] * 255).round().int().tolist()
    assert {tuple(colour) for colour in painted} == others | set(CITYSCAPES.values())
    assert painted[TAG["road line"]] == list(CITYSCAPES["road"]) and painted[TAG["car"]] == list(CITYSCAPES["car"])


def test_colours_become_classes_again():
    classes = torch.randint(0, 30, (3, 5, 7), generator=torch.Generator().manual_seed(0))
    painted = segmentation_map(classes)
    assert torch.equal(classes_of_colours(painted), classes.to(torch.uint8))
    assert torch.equal(classes_of_colours(painted + 1 / 255), classes.to(torch.uint8))
    twice = classes_of_colours(segmentation_map(classes, "cityscapes"), "cityscapes")
    assert torch.equal(segmentation_map(twice, "cityscapes"), segmentation_map(classes, "cityscapes"))
    with pytest.raises(UserError, match="lossless"):
        classes_of_colours(0.5 * painted + 0.2)
    with pytest.raises(UserError, match="rainbow"):
        classes_of_colours(painted, "rainbow")


# Rows of the published ADE20K table: class number from 0, name, colour.
ADE20K = """0 wall 120 120 120; 1 building 180 120 120; 2 sky 6 230 230; 4 tree 4 200 3; 6 road 140 140 140;
9 grass 4 250 7; 11 sidewalk 235 255 7; 12 person 150 5 61; 13 earth 120 120 70; 20 car 0 102 200; 21 water 61 230 250;
32 fence 255 184 6; 34 rock 255 41 10; 38 railing 255 61 6; 43 signboard 255 5 153;
61 bridge 255 82 0; 80 bus 255 0 245; 83 truck 255 0 20; 93 pole 51 0 255;
116 minibike 163 0 255; 127 bicycle 255 245 0; 136 traffic-light 41 0 255"""


def test_ade20k_colours_are_those_of_its_own_classes():
    published = {row.split()[1]: [int(v) for v in row.split()[2:]] for row in ADE20K.replace("\n", " ").split(";")}
    painted = (segmentation_map(torch.arange(30).view(1, 1, -1), "ade20k")[0, 0] * 255).round().int().tolist()
    ours = {"traffic light": "traffic-light", "traffic sign": "signboard", "vegetation": "tree", "terrain": "grass",
            "pedestrian": "person", "rider": "person", "motorcycle": "minibike", "train": "bus", "road line": "road",
            "ground": "earth", "rail track": "earth", "guard rail": "railing"}  # fmt: skip
    for tag, (name, _) in CARLA_TAGS.items():
        assert painted[tag] == published.get(ours.get(name, name), [0, 0, 0]), name
    assert sum(colour == [0, 0, 0] for colour in painted) == 4
