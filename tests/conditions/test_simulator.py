"""Oracles: the world's own buffers and maps on whole scenes, and lookups by hand."""

import pytest
import torch
from PIL import Image

from pipeline_core.conditions.buffers import write_buffers
from pipeline_core.conditions.depth import disparity_limits, disparity_map
from pipeline_core.conditions.edges import edge_map
from pipeline_core.conditions.encodings import encode_classes, encode_depth, encode_instances
from pipeline_core.conditions.estimated import Estimators
from pipeline_core.conditions.instances import instance_map
from pipeline_core.conditions.layouts import find_recording
from pipeline_core.conditions.maps import clip_disparity_limits, window_maps
from pipeline_core.conditions.recordings import classes_of_frames, depth_of_frames, instances_of_frames
from pipeline_core.conditions.segmentation import PALETTES, TAG, segmentation_map
from pipeline_core.conditions.simulator import Streams, recording_streams, simulator_maps, tensor_streams
from pipeline_core.conditions.weights import parse_class_weights
from pipeline_core.errors import UserError
from pipeline_core.video.media import write_clip
from pipeline_core.world import RenderedBuffers, make_scene, render

SIZE = (32, 48)
SENTENCE = "signs and lights at 1, sky at 0.2, rest at 0.5"


@pytest.fixture(scope="module", params=[2, 910_003, 910_017])
def drive(request):
    return render(make_scene(request.param), 5, SIZE, "synthetic")


def streams_of(drive):
    return tensor_streams(drive.depth.clamp(max=1000), drive.classes, drive.instances)


def loaded(images):
    return torch.stack([torch.from_numpy(image).float() / 255 for image in images])


def test_on_the_worlds_scenes_every_decoder_and_mask_is_exact(drive):
    """From CARLA's pictures, as ComfyUI loads them, to the same maps as the job makes of the truth itself."""
    depth = depth_of_frames(loaded(map(encode_depth, drive.depth)))
    classes = classes_of_frames(loaded(map(encode_classes, drive.classes)))
    ids = instances_of_frames(loaded(map(encode_instances, drive.classes, drive.instances)))
    assert (depth - drive.depth.clamp(max=1000)).abs().max() < 1e-3
    assert torch.equal(classes, drive.classes) and torch.equal(ids, drive.instances)
    streams = tensor_streams(depth, classes, ids)
    made = simulator_maps(streams, drive.rgb, mask_of="lights and signs", weights=parse_class_weights(SENTENCE))
    buffers = RenderedBuffers(drive)
    names = ["edge", "depth", "segmentation"]
    wanted = window_maps(names, drive.rgb, 0, buffers, Estimators(), clip_disparity_limits(buffers))
    assert torch.equal(made.edge, wanted["edge"]) and torch.equal(made.segmentation, wanted["segmentation"])
    assert (made.depth - wanted["depth"]).abs().max() < 1e-4
    lights, signs, sky = (drive.classes == TAG[name] for name in ("traffic light", "traffic sign", "sky"))
    assert torch.equal(made.mask, (lights | signs).float()) and bool(sky.any())
    by_hand = torch.full(drive.classes.shape, 0.5)
    by_hand[lights | signs], by_hand[sky] = 1.0, 0.2
    assert torch.equal(made.weights, by_hand)
    painted = simulator_maps(streams, paint="instances")
    assert torch.equal(painted.segmentation, instance_map(drive.instances))
    for palette in PALETTES:
        assert torch.equal(simulator_maps(streams, paint=palette).segmentation, segmentation_map(classes, palette))


def test_a_clip_longer_than_a_chunk_has_one_depth_scale():
    """Something very near in the last of 40 frames: the first ones are on its scale too, and nothing else moves."""
    depth = torch.full((40, 8, 8), 20.0)
    depth[:, 0] = 100.0
    depth[39, 4:] = 2.0
    seen = []
    made = simulator_maps(tensor_streams(depth), progress=lambda *done: seen.append(done)).depth
    assert torch.equal(made, disparity_map(depth, disparity_limits([depth])))
    resting = made[:, 1:4]
    assert float((resting - resting[0]).abs().max()) == 0 < float(resting[0, 0, 0]) < 0.5
    assert seen == [(16, 80), (32, 80), (40, 80), (56, 80), (72, 80), (80, 80)]


def test_maps_at_another_size_are_averaged_and_classes_stay_pure(drive):
    small = torch.nn.functional.interpolate(drive.rgb.movedim(-1, 1), (16, 24), mode="area").movedim(1, -1)
    made = simulator_maps(streams_of(drive), small, mask_of="road", weights={"sky": 0.0})
    for values in (made.depth, made.mask, made.weights, made.edge):
        assert values.shape == (5, 16, 24)
    whole = simulator_maps(streams_of(drive), drive.rgb, mask_of="road")
    blocks = whole.mask.reshape(5, 16, 2, 24, 2).mean((2, 4))
    assert torch.allclose(made.mask, blocks) and bool(((made.mask > 0) & (made.mask < 1)).any())
    colours = {tuple(row) for row in whole.segmentation.reshape(-1, 3).tolist()}
    assert {tuple(row) for row in made.segmentation.reshape(-1, 3).tolist()} <= colours
    assert torch.equal(made.segmentation, whole.segmentation[:, 1::2, 1::2])
    lights = drive.classes[:, 1::2, 1::2] == TAG["traffic light"]
    assert torch.equal(made.edge, edge_map(small, ignore=lights, operator="grey_l2"))


def test_another_shape_is_refused_or_cut_around_the_middle(drive):
    square = drive.rgb[:, :, 8:40]
    with pytest.raises(UserError, match="48x32 and the clip is 32x32, another shape"):
        simulator_maps(streams_of(drive), square)
    cut = simulator_maps(streams_of(drive), square, crop=True)
    assert torch.equal(cut.segmentation, segmentation_map(drive.classes[:, :, 8:40]))
    high = simulator_maps(streams_of(drive), drive.rgb[:, 8:24], crop=True)
    assert torch.equal(high.segmentation, segmentation_map(drive.classes[:, 8:24]))


def test_buffers_of_another_clip_are_refused(drive, tmp_path):
    with pytest.raises(UserError, match="5 frames and the clip 4: give the buffers of this clip"):
        simulator_maps(streams_of(drive), drive.rgb[:4])
    with pytest.raises(UserError, match="differ in frames or size"):
        tensor_streams(drive.depth, drive.classes[:4])
    with pytest.raises(UserError, match="No buffers"):
        tensor_streams()
    write_clip(tmp_path / "a.mp4", drive.rgb, 24)
    write_buffers(tmp_path / "b", tmp_path / "a.mp4", drive)
    recording = find_recording(tmp_path / "b")
    part = simulator_maps(recording_streams(recording, start=1, frames=3), drive.rgb[1:4])
    assert torch.equal(part.segmentation, segmentation_map(drive.classes[1:4]))
    with pytest.raises(UserError, match="has 5 frames but frames 3 to 7 are needed"):
        recording_streams(recording, start=3, frames=5)
    (tmp_path / "b" / "depth" / "000004.png").unlink()
    with pytest.raises(UserError, match="differ in length"):
        recording_streams(recording)


def test_parts_of_a_recording_fit_each_other_on_its_own_scale(tmp_path):
    """Something near in the last frame only: the first frames alone would not know it."""
    depth = torch.full((6, 16, 16), 50.0)
    depth[:, 0], depth[5, 8:] = 200.0, 3.0
    (tmp_path / "depth").mkdir()
    for t, frame in enumerate(depth):
        Image.fromarray(encode_depth(frame)).save(tmp_path / "depth" / f"{t}.png")
    recording = find_recording(tmp_path)
    whole = simulator_maps(recording_streams(recording)).depth
    parts = [simulator_maps(recording_streams(recording, 1.0, t, 3, True)).depth for t in (0, 3)]
    assert torch.equal(torch.cat(parts), whole)
    alone = simulator_maps(recording_streams(recording, 1.0, 0, 3)).depth
    assert float((alone - whole[:3]).abs().max()) > 0.5
    assert find_recording(tmp_path / "depth") == recording


def test_what_is_not_there_is_said(drive):
    only_depth = tensor_streams(drive.depth.clamp(max=1000))
    made = simulator_maps(only_depth)
    assert made.segmentation is made.mask is made.weights is made.edge is None
    for words in ({"paint": "instances"}, {"paint": "rainbow"}, {"mask_of": "cars"}, {"weights": {"sky": 0.5}}):
        with pytest.raises(UserError):
            simulator_maps(only_depth, **words)
    with pytest.raises(UserError, match="dragons"):
        simulator_maps(streams_of(drive), mask_of="dragons")
    with pytest.raises(UserError, match="from 0 to 1"):
        simulator_maps(streams_of(drive), weights={"sky": 1.5})
    frames = iter([torch.ones(4, 4), torch.ones(4, 5)])
    with pytest.raises(UserError, match="differ in size"):
        simulator_maps(Streams(2, depth=lambda: frames))


def test_a_mask_without_a_pixel_is_black(drive):
    road = torch.full_like(drive.classes, TAG["road"])
    made = simulator_maps(tensor_streams(classes=road), drive.rgb, mask_of="lights")
    assert made.mask.shape == drive.classes.shape and float(made.mask.sum()) == 0
