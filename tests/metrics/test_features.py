"""Oracles: encoders of known geometry, one repainted object in the world, transformers' own forward."""

import math

import pytest
import torch

from pipeline_core.conditions.segmentation import TAG
from pipeline_core.errors import UserError
from pipeline_core.metrics.features import FrameConsistency, ObjectAlignment
from pipeline_core.perception.encoders import load_encoder
from pipeline_core.world import make_scene, render

CAR, SIGN = TAG["car"], TAG["traffic sign"]


def mean_colour(frames):
    """Features whose angles are known: the mean of what is not the grey outside the mask."""
    inside = ((frames - 0.5).abs().amax(-1) > 0.02)[..., None]
    return (frames * inside).sum((1, 2)) / inside.sum((1, 2)).clamp(min=1)


def centre(frames):
    """The colour in the middle of a crop, which borders do not blend into."""
    return frames[:, 32, 32]


def scene(frames=3):
    classes, ids = torch.zeros(frames, 40, 60, dtype=torch.uint8), torch.zeros(frames, 40, 60, dtype=torch.int32)
    clip = torch.full((frames, 40, 60, 3), 0.3)
    for name, tag, box, colour in (
        (1, CAR, (slice(5, 25), slice(4, 24)), (1.0, 0.0, 0.0)),
        (2, SIGN, (slice(20, 30), slice(40, 50)), (0.0, 0.0, 1.0)),
    ):
        classes[:, box[0], box[1]], ids[:, box[0], box[1]] = tag, name
        clip[:, box[0], box[1]] = torch.tensor(colour)
    return clip, classes, ids


def run(metric, *clips, chunk=100):
    for parts in zip(*(clip.split(chunk) for clip in clips)):
        metric.update(*parts)
    return metric.compute()


def test_alignment_is_the_cosine_inside_the_masks_only():
    clip, classes, ids = scene()
    output = 0.9 * clip
    output[..., 1] += 0.05
    output[classes == 0] = 0.9  # whatever happens outside the masks does not count
    output[1][ids[1] == 1] = torch.tensor([0.6, 0.8, 0.0])
    metric = ObjectAlignment(centre)
    figures = run(metric, output, clip, classes, ids)
    near = 0.9 / math.hypot(0.9, 0.05)
    assert figures["alignment_vehicles"].value == pytest.approx((2 * near + 0.6) / 3, abs=1e-4)
    assert figures["alignment_signs"].value == pytest.approx(near, abs=1e-4)
    assert figures["alignment"].value == pytest.approx((5 * near + 0.6) / 6, abs=1e-4)
    assert figures["alignment_people"].value is None and "64 pixels" in figures["alignment_people"].note
    assert metric.series["alignment"][1] < 0.85 < metric.series["alignment"][0]
    pieces = run(ObjectAlignment(centre), output, clip, classes, ids, chunk=2)
    assert {n: f.value for n, f in pieces.items()} == pytest.approx({n: f.value for n, f in figures.items()})


def test_one_repainted_car_of_the_world_lowers_vehicles_alone():
    drive = render(make_scene(1), 2, (64, 96), "synthetic")
    cars = drive.classes == CAR
    names, counts = drive.instances[0][cars[0]].unique(return_counts=True)
    output = drive.rgb.clone()
    output[drive.instances == int(names[counts.argmax()])] = 1 - output[drive.instances == int(names[counts.argmax()])]
    same = run(ObjectAlignment(mean_colour), drive.rgb, drive.rgb, drive.classes, drive.instances)
    other = run(ObjectAlignment(mean_colour), output, drive.rgb, drive.classes, drive.instances)
    assert same["alignment"].value == pytest.approx(1) and other["alignment_vehicles"].value < 0.97
    for name in ("lights", "signs"):
        assert other[f"alignment_{name}"].value == same[f"alignment_{name}"].value


def test_frame_consistency_is_the_mean_cosine_of_neighbours():
    angles = torch.tensor([0.0, 0.3, 0.3, 1.0, 0.8])
    clip = torch.stack([angles.cos(), angles.sin(), torch.zeros(5)], -1)[:, None, None].repeat(1, 8, 9, 1)
    expected = angles.diff().cos().mean().item()
    for chunk in (5, 2, 1):
        metric = FrameConsistency(lambda frames: frames.mean((1, 2)))
        assert run(metric, clip, chunk=chunk)["frame_consistency"].value == pytest.approx(expected, abs=1e-6)
        assert metric.series["frame_consistency"][0] is None and len(metric.series["frame_consistency"]) == 5
    assert run(FrameConsistency(mean_colour), clip[:1])["frame_consistency"].value is None


def test_masks_of_another_size_are_refused():
    clip, classes, ids = scene()
    with pytest.raises(UserError, match="same frames"):
        ObjectAlignment(mean_colour).update(clip, clip, classes[:, :20], ids)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}
    clip = CLIPVisionConfig(**small, intermediate_size=32, projection_dim=8)
    made = {"dino": Dinov2Model(Dinov2Config(**small)), "clip": CLIPVisionModelWithProjection(clip)}
    root = tmp_path_factory.mktemp("encoders")
    for name, model in made.items():
        model.save_pretrained(root / name)
    return root, made


@pytest.mark.parametrize("name, answer, mean, std", [
    ("dino", "pooler_output", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ("clip", "image_embeds", (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
])  # fmt: skip
def test_features_are_the_network_s_own(folders, name, answer, mean, std):
    root, made = folders
    frames = torch.rand(19, 28, 28, 3, generator=torch.Generator().manual_seed(1))  # more than a batch, at its size
    planes = (frames.permute(0, 3, 1, 2) - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    with torch.no_grad():
        expected = made[name].eval()(pixel_values=planes)[answer]
    torch.testing.assert_close(load_encoder(root / name)(frames), expected, rtol=1e-4, atol=1e-4)
    assert load_encoder(root / name)(torch.rand(1, 20, 50, 3)).shape == (1, expected.shape[1])


def test_other_folders_are_refused(folders, tmp_path, segmentation_folder):
    with pytest.raises(UserError, match="segformer"):
        load_encoder(segmentation_folder)
    with pytest.raises(UserError, match="config.json"):
        load_encoder(tmp_path)
    (tmp_path / "config.json").write_text("{broken")
    with pytest.raises(UserError, match="not valid JSON"):
        load_encoder(tmp_path)
