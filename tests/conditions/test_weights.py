"""Oracles: lookups by hand, the issue's own sentence, colours recomputed with colorsys."""

import colorsys

import pytest
import torch

from pipeline_core.conditions.instances import instance_colours, instance_map, largest_instances
from pipeline_core.conditions.segmentation import TAG
from pipeline_core.conditions.weights import class_mask, class_tags, class_weights, parse_class_weights
from pipeline_core.errors import UserError

ROW = ["road", "traffic light", "traffic sign", "sky", "car", "bus", "rider", "road line"]
CLASSES = torch.tensor([[[TAG[name] for name in ROW]]] * 2)


def test_the_sentence_of_the_users():
    weights = parse_class_weights("signs and lights at 1, sky at 0.2")
    assert weights == {"signs": 1, "lights": 1, "sky": 0.2}
    assert class_weights(CLASSES, weights, 0.5)[1, 0].tolist() == pytest.approx([0.5, 1, 1, 0.2] + [0.5] * 4)


@pytest.mark.parametrize("text", ["cars=0.3;rest=2", "cars: 0.3\nrest: 2", "Cars 0.3, rest 2", "car  at .3, rest at 2"])
def test_other_ways_to_write_it(text):
    made = class_weights(CLASSES, parse_class_weights(text))
    assert made[0, 0].tolist() == pytest.approx([2, 2, 2, 2, 0.3, 2, 2, 2]) and made.dtype == torch.float32


def test_later_entries_go_before_earlier_ones():
    made = class_weights(CLASSES, {"vehicles": 0.5, "bus": 0.9, "rest": 0})
    assert made[0, 0].tolist() == pytest.approx([0, 0, 0, 0, 0.5, 0.9, 0, 0])
    assert parse_class_weights("") == {} and (class_weights(CLASSES, {}) == 1).all()


def test_masks():
    assert class_mask(CLASSES, "lights and signs")[0, 0].tolist() == [False, True, True] + [False] * 5
    assert class_mask(CLASSES, ["vehicles", "people"])[0, 0].tolist() == [False] * 4 + [True] * 3 + [False]
    assert class_tags("Buses") == class_tags("bus") == (TAG["bus"],)
    assert class_tags("lane_marks") == class_tags("road lines") == (TAG["road line"],)
    assert not class_mask(CLASSES, []).any()


@pytest.mark.parametrize("text", ["signs", "signs at", "dragons at 1", "sky at 1, sky at 0.5", "sky at -1"])
def test_sentences_that_cannot_be_read(text):
    with pytest.raises(UserError):
        parse_class_weights(text)


def test_bad_weights_and_classes():
    for weights in ({"sky": -1}, {"sky": float("nan")}, {"dragons": 1}):
        with pytest.raises(UserError):
            class_weights(CLASSES, weights)
    for classes in (CLASSES.float(), CLASSES + 300):
        with pytest.raises(UserError, match="0 to 255"):
            class_weights(classes, {})


def test_an_object_keeps_its_colour_whatever_else_is_there():
    ids = torch.tensor([[[0, 501, 502], [7, 7, 65535]]] * 3, dtype=torch.int32)
    whole = instance_map(ids)
    assert torch.equal(torch.cat([instance_map(part) for part in ids.split(1)]), whole)
    without = torch.where(ids == 502, 0, ids)
    assert torch.equal(instance_map(without)[ids != 502], whole[ids != 502]) and (whole[ids == 0] == 0).all()
    assert whole[ids != 0].amax(-1).min() >= 0.5


def test_the_largest_objects_of_the_clip_are_painted_and_the_others_black():
    """Id n has n pixels, spread over the frames; of equal ones the lower id goes first."""
    ids = torch.repeat_interleave(torch.arange(1, 121), torch.arange(1, 121))
    ids = torch.cat([ids, torch.zeros(7300 - len(ids), dtype=torch.int64)])
    clip = ids[torch.randperm(7300, generator=torch.Generator().manual_seed(0))].reshape(4, 25, 73).int()
    assert largest_instances(clip.split(1)).tolist() == list(range(120, 20, -1))
    assert largest_instances([torch.tensor([[[5, 4, 0, 4, 5, 9, 0]]])], 2).tolist() == [4, 5]
    assert largest_instances([]).tolist() == []
    painted = instance_map(clip, largest_instances([clip]))
    assert torch.equal(painted, instance_map(torch.where(clip > 20, clip, 0)))


def test_neighbouring_ids_are_told_apart():
    for first in (1, 500, 40000):
        colours = instance_colours(torch.arange(first, first + 60))
        distance = torch.cdist(colours, colours) + torch.eye(60)
        assert distance.min() > 0.07, (first, distance.min())


def test_colours_are_hsv():
    for name, colour in zip(range(1, 40), instance_colours(torch.arange(1, 40)).tolist()):
        h, s, v = colorsys.rgb_to_hsv(*colour)
        assert (h - name * 0.8191725133961645 + 0.5) % 1 == pytest.approx(0.5, abs=1e-4)
        assert 0.45 <= s + 1e-4 <= 1.001 and 0.5 <= v + 1e-4 <= 1.001


def test_bad_instances():
    for bad in (torch.zeros(2, 3), torch.zeros(1, 2, 3), torch.zeros(2, 2, dtype=torch.int32)):
        with pytest.raises(UserError, match="integers"):
            instance_map(bad)
