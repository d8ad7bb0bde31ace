"""Networks that look at frames, on a second device: the CPU's answers, wherever the frames are."""

import pytest
import torch
from device_under_test import NAME
from tiny_perception import save_captioner, save_detector, save_mask2former, save_tracker

from pipeline_core.conditions.estimated import estimated_classes, estimated_depth
from pipeline_core.conditions.segmentation import TAG
from pipeline_core.perception.captions import load_captioner
from pipeline_core.perception.encoders import load_encoder
from pipeline_core.perception.estimators import estimated_limits, load_estimators
from pipeline_core.perception.grounding import load_detector
from pipeline_core.perception.tracking import load_tracker, look_again

FRAMES = torch.rand(3, 32, 48, 3, generator=torch.Generator().manual_seed(3))
WORDS = "car. traffic light. person."


@pytest.mark.parametrize("place", ["cpu", NAME])
def test_depth_comes_where_its_frames_are(device, depth_folder, place):
    wanted = load_estimators(depth=depth_folder, device="cpu").depth(FRAMES)
    found = load_estimators(depth=depth_folder, device=NAME).depth(FRAMES.to(place))
    assert found.device.type == place and torch.allclose(found.cpu(), wanted, rtol=1e-4)


@pytest.mark.parametrize("place", ["cpu", NAME])
@pytest.mark.parametrize("queries", [False, True], ids=["segformer", "mask2former"])
def test_classes_come_where_their_frames_are(device, segmentation_folder, tmp_path, queries, place):
    folder = save_mask2former(tmp_path, ["road", "car", "person", "sky", "cat"]) if queries else segmentation_folder
    wanted = load_estimators(segmentation=folder, device="cpu").segmentation(FRAMES)
    found = load_estimators(segmentation=folder, device=NAME).segmentation(FRAMES.to(place))
    assert found.device.type == place and found.dtype == torch.uint8
    assert (found.cpu() == wanted).float().mean() > 0.999


def test_the_frames_of_a_recording(device, depth_folder, segmentation_folder):
    there, here = (load_estimators(depth_folder, segmentation_folder, place) for place in (NAME, "cpu"))
    frames = FRAMES.to(NAME)
    assert estimated_limits(there.depth, frames) == pytest.approx(estimated_limits(here.depth, FRAMES))
    for found, wanted in zip(estimated_depth(frames, there, 1), estimated_depth(FRAMES, here, 1), strict=True):
        assert torch.allclose(found.cpu(), wanted, rtol=1e-4)
    classes = torch.stack(list(estimated_classes(frames, there.segmentation)))
    assert int(classes.max()) <= max(TAG.values())


@pytest.mark.parametrize("place", ["cpu", NAME])
def test_boxes_and_tracks(device, tmp_path, place):
    save_detector(tmp_path / "words")
    save_tracker(tmp_path / "sam")
    found = []
    for device_name, frames in (("cpu", FRAMES), (NAME, FRAMES.to(place))):
        detect, track = load_detector(tmp_path / "words", device_name), load_tracker(tmp_path / "sam", device_name)
        boxes = detect(frames[0], WORDS)
        found.append((boxes, torch.stack(list(track(frames, boxes[:2], look_again(detect, WORDS, 2, boxes[:2]))))))
    (wanted, ids), (boxes, others) = found
    assert [(box.words, pytest.approx(box.score, abs=1e-4)) for box in boxes] == [(b.words, b.score) for b in wanted]
    assert (others == ids).float().mean() > 0.999 and others.device.type == "cpu"


@pytest.mark.parametrize("place", ["cpu", NAME])
def test_captions(device, tmp_path, place):
    folder = save_captioner(tmp_path)
    wanted = load_captioner(folder, "cpu", pictures=2, tokens=5)(FRAMES)
    assert load_captioner(folder, NAME, pictures=2, tokens=5)(FRAMES.to(place)) == wanted


def test_without_double_precision(coarse, depth_folder, segmentation_folder, tmp_path):
    found = load_estimators(depth_folder, segmentation_folder, NAME)
    frames = FRAMES.to(NAME)
    found.segmentation(frames)
    assert len(list(estimated_depth(frames, found, 1))) == len(FRAMES)
    boxes = load_detector(save_detector(tmp_path / "words"), NAME)(frames[0], WORDS)
    assert len(list(load_tracker(save_tracker(tmp_path / "sam"), NAME)(frames, boxes[:2]))) == len(FRAMES)


def test_encoders(device, tmp_path):
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    config = Dinov2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14)
    Dinov2Model(config).save_pretrained(tmp_path)
    wanted = load_encoder(tmp_path, "cpu")(FRAMES)
    for frames in (FRAMES, FRAMES.to(NAME)):
        assert torch.allclose(load_encoder(tmp_path, NAME)(frames), wanted, rtol=1e-4, atol=1e-5)
