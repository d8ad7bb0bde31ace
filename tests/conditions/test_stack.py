"""Oracles: the rule written per site in plain Python, and its invariants."""

import pytest
import torch

from pipeline_core.conditions.stack import masked_weights, normalise_weights, parse_controls
from pipeline_core.errors import UserError


def rule(weights):
    return [w / max(1.0, sum(weights)) for w in weights]


@pytest.mark.parametrize("weights", [(1.0, 1.0, 0.5), (0.2, 0.3), (0.45, 0.45), (0.0, 3.0), (0.0, 0.0)])
def test_numbers(weights):
    names = ["edge", "depth", "segmentation"][: len(weights)]
    assert list(normalise_weights(dict(zip(names, weights))).values()) == rule(weights)


def test_maps_follow_the_rule_at_every_site():
    g = torch.Generator().manual_seed(0)
    edge = 2 * torch.rand(3, 4, 5, generator=g, dtype=torch.float64)
    depth = torch.rand(1, 4, 1, generator=g, dtype=torch.float64)
    result = normalise_weights({"edge": edge, "depth": depth, "segmentation": 0.0})
    assert {v.shape for v in result.values()} == {(3, 4, 5)}
    for t in range(3):
        for i in range(4):
            for j in range(5):
                expected = rule([edge[t, i, j].item(), depth[0, i, 0].item(), 0.0])
                assert [v[t, i, j].item() for v in result.values()] == pytest.approx(expected, abs=1e-15)
    assert (result["segmentation"] == 0).all()  # a plain 0 beside a map stays 0


def test_low_precision_maps_are_not_normalised_in_low_precision():
    weights = {"edge": torch.full((2, 2), 0.5, dtype=torch.bfloat16), "depth": 0.4}
    assert normalise_weights(weights)["depth"].unique().tolist() == pytest.approx([0.4], abs=1e-7)


def test_inputs_are_not_changed():
    edge = torch.ones(2, 2)
    normalise_weights({"edge": edge, "depth": 1.0})["edge"].mul_(5)
    assert torch.equal(edge, torch.ones(2, 2))


def test_no_controls():
    assert normalise_weights({}) == {} and parse_controls("none") == {}


@pytest.mark.parametrize("bad", [-0.1, float("nan"), float("inf"), torch.tensor([0.5, -1.0])])
def test_bad_weights(bad):
    with pytest.raises(UserError, match="depth"):
        normalise_weights({"edge": 1.0, "depth": bad})


def test_maps_that_do_not_fit():
    with pytest.raises(UserError, match=r"\(2, 3\)"):
        normalise_weights({"edge": torch.ones(2, 3), "depth": torch.ones(2, 4)})


def test_masked_weights_follow_the_rule_at_every_site_of_every_frame():
    left, top = torch.zeros(1, 4, 4), torch.rand(3, 2, 2, generator=torch.Generator().manual_seed(1))
    left[..., :2] = 1
    frames = list(masked_weights([1.0, 0.5, 2.0], [left, None, top], (4, 4)))
    assert len(frames) == 3 and {v.shape for frame in frames for v in frame} == {(4, 4)}
    for t, frame in enumerate(frames):
        for i in range(4):
            for j in range(4):
                expected = rule([left[0, i, j].item(), 0.5, 2 * top[t, i // 2, j // 2].item()])
                assert [v[i, j].item() for v in frame] == pytest.approx(expected, abs=1e-6)


def test_controls_on_disjoint_masks_do_not_share_their_weight():
    left = torch.zeros(1, 2, 2)
    left[..., 0] = 1
    ((first, second),) = masked_weights([1.0, 1.0], [left, 1 - left], (2, 2))
    assert torch.equal(first, left[0]) and torch.equal(second, 1 - left[0])


def test_weights_without_masks_are_constant_planes():
    ((first, second),) = masked_weights([1.0, 3.0], [None, None], (2, 3))
    assert torch.equal(first, torch.full((2, 3), 0.25)) and torch.equal(second, torch.full((2, 3), 0.75))


def test_masks_of_different_lengths():
    with pytest.raises(UserError, match="frames"):
        list(masked_weights([1.0, 1.0], [torch.ones(2, 2, 2), torch.ones(3, 2, 2)], (2, 2)))


def test_parsing():
    assert parse_controls("edge=1,depth=1, seg=0.5") == {"edge": 1.0, "depth": 1.0, "segmentation": 0.5}
    assert parse_controls("Segmentation=0") == {"segmentation": 0.0}


@pytest.mark.parametrize("text", ["blur=1", "edge", "edge=", "edge=x", "edge=-1", "edge=nan", "edge=inf", "",
                                  "edge=1,,depth=1", "edge=1,edge=1", "seg=1,segmentation=1"])  # fmt: skip
def test_bad_text(text):
    with pytest.raises(UserError):
        parse_controls(text)


def test_unknown_controls_name_the_known_ones():
    with pytest.raises(UserError, match="blur.*edge, depth, segmentation"):
        parse_controls("blur=1")
