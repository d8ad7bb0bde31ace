"""What is exported, into which split, at which size, and what is refused."""

import json
import shutil
import sys

import numpy as np
import pytest
from batch_folders import make_batch, make_source, write_manifest, write_result
from PIL import Image

from pipeline_core.__main__ import main
from pipeline_core.batch.export import FORMATS, export
from pipeline_core.batch.export.cityscapes import LABEL_IDS
from pipeline_core.batch.export.scenes import check_shape
from pipeline_core.batch.export.selection import parse_splits, split_of
from pipeline_core.batch.export.things import things_of
from pipeline_core.conditions.encodings import encode_instances
from pipeline_core.conditions.segmentation import TAG
from pipeline_core.errors import UserError

EVEN = "train=.5,val=.5"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_batch(tmp_path_factory.mktemp("batch"))


@pytest.fixture
def batch(made, tmp_path):
    """A copy to change; the sources stay where they are."""
    shutil.copytree(made[0], tmp_path / "out")
    return tmp_path / "out"


def provenance(target):
    return [json.loads(line) for line in (target / "provenance.jsonl").read_text().splitlines()]


def refusal(*arguments, **options):
    with pytest.raises(UserError) as reason:
        export(*arguments, **options)
    return str(reason.value)


def row_of(batch, clip="street", variant="day-0", **changes):
    path = batch / "clips" / clip / f"{variant}.json"
    row = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps(row))
    return row


@pytest.mark.parametrize("clips", [50, 3000])
def test_a_split_gets_its_share_and_no_clip_ever_moves(clips):
    shares = parse_splits("train=.7, val=.2,test=.1")
    splits = [split_of(f"town__{number}", shares) for number in range(clips)]
    for name, share in shares.items():
        assert abs(splits.count(name) / clips - share) < 4 * (share * (1 - share) / clips) ** 0.5
    assert splits[:50] == [split_of(f"town__{number}", shares) for number in range(50)]


@pytest.mark.parametrize(
    "text", ["", "train", "train=x", "train=.8", "train=.8,val=.3", "a b=1", "labels=1", "a=0,b=1"]
)
def test_splits_that_are_none_are_refused(text):
    with pytest.raises(UserError, match="--splits"):
        parse_splits(text)


def test_all_variants_of_a_clip_are_in_one_split_and_rejected_ones_only_if_asked_for(batch, tmp_path):
    exported = export(batch, tmp_path / "a", "cityscapes", EVEN)
    assert exported.rejected == 1 and exported.left_out == [] and exported.empty == []
    assert {(one["id"], one["variant"]) for one in provenance(tmp_path / "a")} == {
        ("street", "day-0"), ("town__front", "day-0"), ("town__front", "night-0"),
    }  # fmt: skip
    exported = export(batch, tmp_path / "b", "cityscapes", EVEN, include_rejected=True)
    entries = provenance(tmp_path / "b")
    splits = {name: {one["split"] for one in entries if one["id"] == name} for name in ("street", "town__front")}
    assert exported.rejected == 0 and splits == {"street": {"train"}, "town__front": {"val"}}
    assert "1 of its clips were rejected" in (tmp_path / "b" / "README.md").read_text()


def test_provenance_says_how_a_file_was_made_and_names_no_folder_of_this_machine(batch, tmp_path):
    export(batch, tmp_path / "set", "cityscapes", EVEN)
    one = next(one for one in provenance(tmp_path / "set") if one["id"] == "town__front")
    assert (one["source"], one["model"], one["seed"]) == ("town/front.mp4", "embedded", 7)
    assert one["settings"] == {"realism": 0.6, "steps": 4}
    assert (
        one["figures"]["edge_f1"] == 0.81 and one["verdict"]["accepted"] and set(one["hashes"]) >= {"model", "output"}
    )
    for file in (tmp_path / "set").rglob("*"):
        if file.suffix in (".json", ".jsonl", ".md"):
            assert str(tmp_path.parent) not in file.read_text()


def test_every_nth_frame(batch, tmp_path):
    exported = export(batch, tmp_path / "set", "cityscapes", EVEN, every=2)
    names = sorted(path.name[-len("000000_leftImg8bit.png") :] for path in (tmp_path / "set").rglob("*leftImg8bit.png"))
    assert exported.counts["train"]["frames"] == 3
    assert names == sorted(f"{number:06d}_leftImg8bit.png" for number in (0, 2, 4) for _ in range(3))
    assert "--every" in refusal(batch, tmp_path / "other", "videofolder", EVEN, every=2)
    assert not (tmp_path / "other").exists()


def test_labels_of_a_smaller_result_are_those_at_the_middle_of_its_pixels(tmp_path):
    render = make_source(tmp_path / "in", "a", 800003)["synthetic"]
    write_manifest(tmp_path / "out", tmp_path / "in", {"a": "a.mp4"})
    # 16 by 27 of 48 by 80: not a whole factor across
    small = render.rgb[:, 1::3, 1::3][:, :, :27]
    write_result(tmp_path / "out", "a", "day-0", tmp_path / "in" / "a.mp4", small)
    export(tmp_path / "out", tmp_path / "set", "cityscapes", "train=1")
    columns = [min(79, int((x + 0.5) * 80 / 27)) for x in range(27)]
    for frame in range(5):
        (file,) = (tmp_path / "set").rglob(f"*{frame:06d}_gtFine_labelIds.png")
        truth = render.classes[frame].numpy()[1::3][:, columns]
        assert np.array_equal(np.array(Image.open(file)), LABEL_IDS[truth])
        (file,) = (tmp_path / "set" / "instance").rglob(f"*{frame:06d}.png")
        codes = np.array(Image.open(file)).astype(int)
        assert np.array_equal(codes[..., 1] + 256 * codes[..., 2], render.instances[frame].numpy()[1::3][:, columns])


def test_results_of_another_shape_are_left_out(batch, made, tmp_path):
    clip = json.loads((batch / "clips/street/day-0.json").read_text())["input"]["clip"]
    cropped = made[1]["street"]["photoreal"].rgb[:, :, 8:72]
    write_result(batch, "street", "day-0", type(tmp_path)(clip), cropped)
    exported = export(batch, tmp_path / "set", "cityscapes", EVEN)
    assert len(exported.left_out) == 1 and "64x48 and its source 80x48" in exported.left_out[0]
    assert (
        exported.empty == ["train"] and "1 results could not be taken" in (tmp_path / "set" / "README.md").read_text()
    )


@pytest.mark.parametrize(
    "size, fits", [((480, 854), True), ((480, 853), True), ((480, 848), False), ((720, 1270), False)]
)
def test_shapes_agree_to_a_pixel(size, fits):
    if fits:
        check_shape(size, (720, 1280), "It")
    else:
        with pytest.raises(UserError, match="another shape"):
            check_shape(size, (720, 1280), "It")


def test_what_cannot_be_taken_is_said_and_the_rest_is_exported(batch, tmp_path):
    (batch / "clips/street/night-0.json").write_text("{")
    row_of(batch, "town__front", "night-0", input={"clip": "gone.mp4", "buffers": None})
    (batch / "clips/street/day-0.mp4").write_bytes((batch / "clips/street/night-0.mp4").read_bytes())
    exported = export(batch, tmp_path / "set", "cityscapes", EVEN)
    assert [one["variant"] for one in provenance(tmp_path / "set")] == ["day-0"]
    said = "\n".join(exported.left_out)
    assert len(exported.left_out) == 3
    assert all(part in said for part in ("has no buffers", "is not the clip that its row", "JSON"))


def test_buffers_of_another_clip_are_refused(batch, tmp_path):
    other = row_of(batch, "town__front")["input"]
    for variant in ("day-0", "night-0"):
        row_of(batch, "street", variant, input={**row_of(batch)["input"], "buffers": other["buffers"]})
    exported = export(batch, tmp_path / "set", "cityscapes", EVEN)
    assert "belong to another clip" in exported.left_out[0]


def test_bad_input_is_one_sentence_and_leaves_nothing(batch, tmp_path, monkeypatch):
    assert "no batch folder" in refusal(tmp_path, tmp_path / "set", "cityscapes")
    assert "unknown" in refusal(batch, tmp_path / "set", "voc")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    assert "has something in it" in refusal(batch, tmp_path / "full", "cityscapes")
    assert "would be replaced" in refusal(batch, batch, "cityscapes")
    monkeypatch.setitem(sys.modules, "webdataset", None)
    monkeypatch.setattr("pipeline_core.batch.export.find_spec", lambda name: None)
    assert "pip install webdataset" in refusal(batch, tmp_path / "set", "webdataset")
    for clip in ("street", "town__front"):
        shutil.rmtree(batch / "clips" / clip)
    assert "no result to export" in refusal(batch, tmp_path / "set", "cityscapes")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "out"]


def test_a_fault_midway_leaves_nothing(batch, tmp_path):
    file = batch / "clips/town__front/night-0.mp4"
    row = row_of(batch, "town__front", "night-0")
    folder = type(tmp_path)(row["input"]["buffers"])
    picture = folder / "semantic" / "000003.png"
    data = picture.read_bytes()
    try:
        picture.write_bytes(data[:100])
        assert "semantic" in refusal(batch, tmp_path / "set", "cityscapes", EVEN)
    finally:
        picture.write_bytes(data)
    assert file.is_file() and [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_id_with_two_tags_is_two_things_and_pixels_without_one_are_none():
    classes, ids = np.zeros((4, 6), np.uint8), np.zeros((4, 6), np.int32)
    classes[:2], classes[2:, :3], classes[2:, 3:] = TAG["rider"], TAG["bicycle"], TAG["car"]
    ids[:, :3] = 300
    import torch

    codes = encode_instances(torch.from_numpy(classes), torch.from_numpy(ids))
    things = things_of(codes, [], 0)
    assert [(thing.name, thing.instance, thing.box, thing.area) for thing in things] == [
        ("rider", 300, (0, 0, 3, 2), 6), ("bicycle", 300, (0, 2, 3, 2), 6),
    ]  # fmt: skip


@pytest.mark.parametrize("format", FORMATS)
def test_the_command_writes_a_card_for_every_format(format, batch, tmp_path, capsys):
    package = {"coco": "pycocotools", "youtube-vis": "pycocotools", "yolo": "cv2", "webdataset": "webdataset"}.get(
        format
    )
    if package:
        pytest.importorskip(package)
    code = main(["export", str(batch), str(tmp_path / "set"), "--format", format, "--splits", EVEN])
    said = capsys.readouterr().out
    assert code == 0 and "train: 1 clips, 5 frames" in said and "1 results that the gate rejected" in said
    assert "| val | 2 | 10 |" in (tmp_path / "set" / "README.md").read_text()
    assert main(["export", str(batch), str(tmp_path / "set"), "--format", format]) == 2
