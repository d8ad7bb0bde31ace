"""Depth and classes from models: tiny random networks of the real classes, against their own direct forward."""

import pytest
import torch
from rounding import roundings, share_of_others
from tiny_perception import save_mask2former

from pipeline_core.conditions.estimated import Estimators
from pipeline_core.conditions.maps import available_controls, window_maps
from pipeline_core.conditions.segmentation import TAG
from pipeline_core.errors import UserError
from pipeline_core.perception.estimators import estimated_limits, load_estimators, tags_of_labels


@pytest.fixture(scope="module")
def frames():
    return torch.rand(5, 32, 48, 3, generator=torch.Generator().manual_seed(3))


def test_classes_are_the_argmax_of_the_networks_own_answer(segmentation_folder, frames):
    from transformers import SegformerForSemanticSegmentation

    network = SegformerForSemanticSegmentation.from_pretrained(segmentation_folder).eval()
    planes = torch.nn.functional.interpolate(frames.permute(0, 3, 1, 2), (64, 96), mode="bicubic", antialias=True)
    with torch.no_grad():
        logits = network(pixel_values=(planes - 0.5) / 0.25).logits
    labels = torch.nn.functional.interpolate(logits, (32, 48), mode="bilinear").argmax(1)
    named = [TAG["pedestrian" if name == "person" else name] for name in network.config.id2label.values()]
    classes = load_estimators(segmentation=segmentation_folder).segmentation(frames)
    assert classes.dtype == torch.uint8 and share_of_others(classes.long(), torch.tensor(named)[labels]) < 1e-3


def test_a_mask2former_votes_for_the_class_of_every_pixel(tmp_path, frames):
    """Its queries' classes and masks, combined pixel by pixel in a loop."""
    from transformers import Mask2FormerForUniversalSegmentation

    names = ["road", "car", "person", "sky", "cat"]
    save_mask2former(tmp_path, names)
    network = Mask2FormerForUniversalSegmentation.from_pretrained(tmp_path).eval()
    planes = torch.nn.functional.interpolate(frames.permute(0, 3, 1, 2), (64, 96), mode="bicubic", antialias=True)
    with torch.no_grad():
        answer = network(pixel_values=(planes - 0.5) / 0.25)
    votes = 0
    for query in range(7):
        shares = answer.class_queries_logits[:, query].softmax(-1)[:, :5]
        votes = votes + shares[..., None, None] * answer.masks_queries_logits[:, query, None].sigmoid()
    labels = torch.nn.functional.interpolate(votes, (32, 48), mode="bilinear").argmax(1)
    tags = torch.tensor([TAG["road"], TAG["car"], TAG["pedestrian"], TAG["sky"], 0])
    classes = load_estimators(segmentation=tmp_path).segmentation(frames)
    assert float((classes.long() == tags[labels]).float().mean()) > 0.999 and len(classes.unique()) > 1


def test_a_relative_depth_model_gives_the_inverse_of_its_disparity(depth_folder, frames):
    from transformers import DepthAnythingForDepthEstimation

    network = DepthAnythingForDepthEstimation.from_pretrained(depth_folder).eval()
    estimate = load_estimators(depth=depth_folder).depth
    planes = torch.nn.functional.interpolate(frames.permute(0, 3, 1, 2), (518, 784), mode="bicubic", antialias=True)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        disparity = network(pixel_values=(planes[:1] - mean[:, None, None]) / std[:, None, None]).predicted_depth
    disparity = torch.nn.functional.interpolate(disparity[:, None], (32, 48), mode="bilinear")[:, 0]
    expected = (1 / disparity.clamp(min=1e-3)).clamp(min=1e-3)
    assert torch.allclose(estimate(frames[:1]), expected, rtol=1e-4)


def test_depth_is_scaled_over_the_clip_and_not_over_the_window(frames):
    """A stand-in distance, brightness: a window with less range must keep the values the whole clip gives."""
    estimators = Estimators(depth=lambda clip: 1.0 + 50.0 * clip.mean(-1))
    limits = estimated_limits(estimators.depth, iter(frames))
    whole = window_maps(["depth"], frames, 0, None, estimators, limits)["depth"]
    part = window_maps(["depth"], frames[3:], 3, None, estimators, limits)["depth"]
    assert roundings(part, whole[3:]) < 16 and float(whole.max() - whole.min()) > 0.5
    assert estimated_limits(estimators.depth, iter((frames * 255).round().byte())) == pytest.approx(limits, rel=0.02)


def test_edges_ignore_signal_heads_that_a_model_found(frames):
    head = torch.zeros(5, 32, 48, dtype=torch.uint8)
    head[:, 8:20, 8:20] = TAG["traffic light"]
    found = window_maps(["edge"], frames, 0, None, Estimators(segmentation=lambda clip: head), None)["edge"]
    assert float(found[:, 8:20, 8:20].sum()) == 0 < float(found.sum())


def test_what_can_be_made_is_said():
    assert available_controls(None, Estimators()) == ("edge", "vis")
    both = Estimators(depth=lambda f: f, segmentation=lambda f: f)
    assert available_controls(None, both) == ("edge", "vis", "depth", "segmentation")


def test_labels_of_no_street_are_refused(tmp_path):
    with pytest.raises(UserError, match="street class"):
        tags_of_labels({0: "cat", 1: "dog"}, tmp_path)
    assert tags_of_labels({0: "tree, palm", 1: "car; auto", 2: "cat"}, tmp_path).tolist() == [
        TAG["vegetation"],
        TAG["car"],
        0,
    ]


def test_a_folder_without_a_model_is_refused(tmp_path, segmentation_folder):
    with pytest.raises(UserError, match="config.json"):
        load_estimators(depth=tmp_path)
    with pytest.raises(UserError, match="AutoModelForDepthEstimation"):
        load_estimators(depth=segmentation_folder)
