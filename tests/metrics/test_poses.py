"""Joints of people: a network that knows them, one off by a known vector, and ViTPose of transformers itself."""

import json

import pytest
import torch
from tiny_perception import shaken

from pipeline_core.__main__ import main
from pipeline_core.conditions.segmentation import TAG
from pipeline_core.errors import UserError
from pipeline_core.metrics.compare import compare_frames
from pipeline_core.metrics.extras import Extras
from pipeline_core.metrics.poses import Joints, PoseQuality, boxes_of, read_joints
from pipeline_core.perception.poses import load_poses

FRAMES, OFF = 5, torch.tensor([3.0, 4.0])


def truth():
    """Two people in the first frame, one in the others, none in the last; half of the joints are hidden."""
    draw = torch.Generator().manual_seed(0)
    counts = (2, 1, 1, 1, 0)
    places = [torch.rand(count, 17, 3, generator=draw) * 40 for count in counts]
    for people in places:
        people[..., 2] = torch.tensor([2.0, 1.0] * 8 + [2.0])
    return Joints(tuple(torch.tensor([[4.0, 4.0, 30.0, 40.0]]).repeat(n, 1) for n in counts), tuple(places))


def off_by(joints, vector, score=0.75):
    """A network that answers the truth moved by a vector, hidden joints by a hundred pixels more."""
    frames = iter(range(FRAMES))

    def estimate(output, boxes):
        answers = []
        for box in boxes:
            places = joints.keypoints[next(frames)][: len(box)].clone()
            places[..., :2] += vector + 100 * (places[..., 2:] == 1)
            places[..., 2] = score
            answers.append(places)
        return answers

    return estimate


def measured(joints, estimate, chunks):
    metric, done = PoseQuality(estimate, joints), 0
    for length in chunks:
        metric.update(torch.zeros(length, 48, 64, 3), joints.boxes[done : done + length])
        done += length
    return {name: figure.value for name, figure in metric.compute().items()}


def test_the_error_is_the_length_of_the_offset_in_chunks_of_any_length():
    joints = truth()
    for chunks in ((5,), (2, 2, 1), (1,) * 5):
        figures = measured(joints, off_by(joints, OFF), chunks)
        assert figures["joint_error"] == pytest.approx(5.0, abs=1e-4) and figures["pose_confidence"] == 0.75
        assert figures["joint_pck"] == 0.0  # a tenth of 40 pixels is 4
    assert measured(joints, off_by(joints, 0.7 * OFF), (5,))["joint_pck"] == 1.0
    assert measured(joints, off_by(joints, 0 * OFF), (5,))["joint_error"] == 0.0


def test_low_people_and_empty_frames_are_left_out():
    joints = truth()
    low = Joints(tuple(box * torch.tensor([1.0, 1.0, 1.0, 0.25]) for box in joints.boxes), joints.keypoints)
    figures = PoseQuality(off_by(joints, OFF), low)
    figures.update(torch.zeros(FRAMES, 48, 64, 3), low.boxes)
    assert figures.compute()["joint_error"].value is None and "nobody" in figures.compute()["joint_error"].note


def test_boxes_of_people_are_those_of_their_pixels():
    classes, instances = torch.zeros(1, 20, 30), torch.zeros(1, 20, 30, dtype=torch.int32)
    classes[0, 3:9, 4:6], instances[0, 3:9, 4:6] = TAG["pedestrian"], 7
    classes[0, 1:3, 20:29], instances[0, 1:3, 20:29] = TAG["car"], 8
    assert boxes_of(classes, instances)[0].tolist() == [[4.0, 3.0, 2.0, 6.0]]


def test_joints_of_a_rendered_clip_are_read_and_the_report_has_them(tmp_path):
    command = ["render-cg", str(tmp_path / "cg"), "--kind", "people", "--clips", "1", "--frames", "3"]
    assert main([*command, "--size", "48x80", "--quality", "low", "--seed", "800001"]) == 0
    file = next((tmp_path / "cg").glob("truth/*/joints.json"))
    joints, content = read_joints(file), json.loads(file.read_text())
    assert len(joints.boxes) == 3 and sum(map(len, joints.boxes)) == len(content["annotations"]) > 0
    clip = torch.rand(3, 48, 80, 3, generator=torch.Generator().manual_seed(0))
    extras = Extras(("objects",), poses=lambda frames, boxes: [joints.keypoints[0]] * len(boxes), joints=joints)
    figures = compare_frames(clip, clip, extras=extras)["figures"]["objects"]
    assert figures["joint_error"]["value"] >= 0 and figures["pose_confidence"]["value"] > 0
    with pytest.raises(UserError, match="joints are of 3 frames"):
        compare_frames(clip[:2], clip[:2], extras=extras)
    file.write_text('{"images": [{"id": 1}]}')
    with pytest.raises(UserError, match="no joints"):
        read_joints(file)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A ViTPose of a few thousand weights."""
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("scipy", reason="transformers cuts people out with scipy")
    folder = tmp_path_factory.mktemp("vitpose")
    backbone = transformers.VitPoseBackboneConfig(
        image_size=[64, 48], patch_size=[16, 16], hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        mlp_ratio=2, out_indices=[1],
    )  # fmt: skip
    config = transformers.VitPoseConfig(backbone_config=backbone, num_labels=17, scale_factor=4)
    shaken(transformers.VitPoseForPoseEstimation(config)).save_pretrained(folder)
    kind = getattr(transformers, "VitPoseImageProcessorPil", transformers.VitPoseImageProcessor)
    kind(size={"height": 64, "width": 48}).save_pretrained(folder)
    return folder


def test_vitpose_answers_what_transformers_own_example_does(folder):
    import transformers

    frames = torch.rand(2, 48, 64, 3, generator=torch.Generator().manual_seed(1))
    boxes = [torch.tensor([[4.0, 5.0, 20.0, 30.0], [30.0, 2.0, 16.0, 40.0]]), torch.zeros(0, 4)]
    answers = load_poses(folder, "cpu")(frames, boxes)
    assert [tuple(answer.shape) for answer in answers] == [(2, 17, 3), (0, 17, 3)]
    network = transformers.VitPoseForPoseEstimation.from_pretrained(folder).eval()
    kind = getattr(transformers, "VitPoseImageProcessorPil", transformers.VitPoseImageProcessor)
    processor = kind.from_pretrained(folder)
    picture = (frames[0] * 255).round().byte().numpy()
    with torch.no_grad():
        outputs = network(processor(picture, boxes=[boxes[0].tolist()], return_tensors="pt")["pixel_values"])
    for answer, person in zip(
        answers[0], processor.post_process_pose_estimation(outputs, boxes=[boxes[0].tolist()])[0], strict=True
    ):
        assert torch.allclose(answer[:, :2], person["keypoints"], atol=1e-4)
        assert torch.allclose(answer[:, 2], person["scores"], atol=1e-5)
        assert answer[:, 0].std() > 0 or answer[:, 1].std() > 0


def test_other_folders_are_one_sentence(folder, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "dinov2"}')
    with pytest.raises(UserError, match="VitPoseForPoseEstimation"):
        load_poses(tmp_path)
