"""Which clips to train on: dropped by known figures, scored by references that are known to gain nothing or much."""

import json

import numpy as np
import pytest
import torch
from made_clips import make_clip, pictures

from pipeline_core.__main__ import main
from pipeline_core.cli import select
from pipeline_core.errors import UserError
from pipeline_core.finetune import selection
from pipeline_core.finetune.clips import chosen_clips, parse_mix, read_clips, tagged
from pipeline_core.finetune.curation import Limits, duplicates, measure_clip
from pipeline_core.finetune.explain import advantage, weights_of
from pipeline_core.finetune.samples import Window
from pipeline_core.finetune.train import odds_of

FRAMES, SIZE = 9, (32, 48)
SMALL = ["--frames", "5", "--size", "32x48", "--precision", "fp32"]


def clip_of(kind):
    """(T, H, W, 3) uint8 pictures with one thing wrong, or nothing."""
    good = pictures(FRAMES, *SIZE, seed={"good": 0, "other": 5}.get(kind, 9)).astype("uint8")
    if kind == "dark":
        return (good * 0.06).astype("uint8")
    if kind == "flat":
        return (np.full_like(good, 120) + 8 * (np.arange(FRAMES) % 2)[:, None, None, None]).astype("uint8")
    if kind == "static":
        return np.repeat(good[:1], FRAMES, 0)
    if kind == "blank":
        good[4] = 0
    if kind == "twin":
        return np.clip(pictures(FRAMES, *SIZE).astype(int) + 1, 0, 255).astype("uint8")
    return good


KINDS = ("good", "other", "dark", "flat", "static", "blank", "twin")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for kind in KINDS:
        make_clip(folder / f"{kind}.mp4", clip_of(kind))
    entries = [{"file_name": f"{kind}.mp4", "text": f"a {kind} street", "brief": "a street"} for kind in KINDS]
    for entry in entries:
        entry["source"] = "photoreal" if entry["file_name"] == "other.mp4" else "synthetic"
    (folder / "metadata.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return folder


def rows_of(out):
    return {row["file_name"][:-4]: row for row in map(json.loads, (out / "selection.jsonl").read_text().splitlines())}


def test_every_fault_is_named_and_good_clips_stay(folder, tmp_path, capsys, monkeypatch):
    command = ["select", str(folder), "-o", str(tmp_path / "out")]
    assert main(command) == 0
    rows, said = rows_of(tmp_path / "out"), capsys.readouterr().out
    reasons = {"dark": "dark (", "flat": "flat (", "static": "static (", "blank": "blank frames (0.11"}
    for kind, words in reasons.items():
        assert not rows[kind]["accepted"] and words in rows[kind]["reason"], (kind, rows[kind]["reason"])
    assert rows["twin"]["reason"].startswith("near-duplicate of good.mp4")
    assert rows["good"]["accepted"] and rows["other"]["accepted"] and rows["good"]["weight"] == 1.0
    assert "2 of 7 clips are kept, 1 photoreal, 1 synthetic" in said and "1  dark" in said
    monkeypatch.setattr(selection, "measure_clip", lambda *words: pytest.fail("measured again"))
    assert main([*command, "--dark", "0"]) == 0  # other limits need no other figures
    assert (
        rows_of(tmp_path / "out")["dark"]["reason"] is None or "dark" not in rows_of(tmp_path / "out")["dark"]["reason"]
    )


def test_figures_are_those_of_the_pictures(folder):
    figures, thumbnails = measure_clip(folder / "good.mp4")
    pixels = torch.from_numpy(clip_of("good")).float() / 255
    luma = pixels @ torch.tensor([0.2126, 0.7152, 0.0722])
    assert figures["dark"] == pytest.approx(float(luma.mean()), abs=0.01)
    assert figures["flat"] == pytest.approx(float(luma.flatten(1).std(1).mean()), abs=0.01)
    assert figures["static"] == pytest.approx(float(luma.diff(dim=0).abs().mean()), abs=0.005)
    assert figures["nobody"] is None and thumbnails.shape == (4, 16, 16, 3)
    assert float((thumbnails[0].mean((0, 1)) - pixels[0].mean((0, 1))).abs().max()) < 0.01


def test_frames_without_people_are_counted_where_joints_are_known(folder, tmp_path):
    seen = [{"image_id": frame, "num_keypoints": 17 if frame < 4 else 2} for frame in range(1, 10)]
    (tmp_path / "joints.json").write_text(json.dumps({"annotations": seen}))
    figures, _ = measure_clip(folder / "good.mp4", tmp_path / "joints.json")
    assert figures["nobody"] == pytest.approx(6 / 9)
    assert Limits().reasons(figures) == ["frames without people (0.67 of all, at most 0.5)"]


def test_a_duplicate_is_of_the_first_that_stays_and_dropped_clips_have_none():
    a, b = torch.zeros(4, 2), torch.ones(4, 2)
    near = a + 0.01
    pictures_ = [x.flatten()[0].expand(4, 16, 16, 3) for x in (a, b, near)]
    assert duplicates([pictures_[0], None, pictures_[1], pictures_[2]], 0.02)[:3] == [None, None, None]
    first, distance = duplicates([pictures_[0], None, pictures_[1], pictures_[2]], 0.02)[3]
    assert first == 0 and distance == pytest.approx(0.01, rel=1e-4)
    assert duplicates([None, pictures_[2]], 0.02) == [None, None]


def test_a_clip_that_cannot_be_read_is_a_row(tmp_path, folder):
    target = tmp_path / "clips"
    target.mkdir()
    (target / "broken.mp4").write_bytes((folder / "good.mp4").read_bytes()[:900])
    (target / "fine.mp4").write_bytes((folder / "good.mp4").read_bytes())
    assert main(["select", str(target), "-o", str(tmp_path / "out"), "--caption", "a street"]) == 0
    rows = rows_of(tmp_path / "out")
    assert rows["broken"]["reason"].startswith("cannot be read") and rows["fine"]["accepted"]


def test_the_advantage_is_the_mean_relative_difference():
    assert advantage(([1.0, 2.0], [0.5, 2.0])) == pytest.approx(0.25)
    assert advantage(([1.0, 2.0], [1.0, 2.0])) == 0.0 and advantage(([1.0], [1.5])) == pytest.approx(-0.5)


def test_weights_fall_with_the_advantage_and_are_one_in_the_mean():
    scores = torch.tensor([0.1, -0.2, 0.4, 0.0], dtype=torch.float64)
    weights = weights_of(scores)
    assert float(weights.mean()) == pytest.approx(1.0) and weights.argsort().tolist() == [2, 0, 3, 1]
    z = (scores[1] - scores[0]) / scores.std(correction=0)
    assert float(weights[0] / weights[1]) == pytest.approx(float(z.exp()))
    assert weights_of(torch.tensor([0.3])).tolist() == [1.0] and weights_of(torch.zeros(3)).tolist() == [1.0] * 3


def test_a_reference_that_changes_nothing_has_no_advantage(folder, loras, model_folder, tmp_path, monkeypatch):
    command = ["select", str(folder), "-o", str(tmp_path / "out"), "--model", str(model_folder), *SMALL]
    command += ["--reference", str(loras["zero"])]
    assert main(command) == 0
    rows = rows_of(tmp_path / "out")
    for kind in ("good", "other"):
        assert rows[kind]["advantage"] == 0.0 and rows[kind]["weight"] == 1.0 and rows[kind]["accepted"]
        assert len(rows[kind]["errors"][0]) == 8 and min(rows[kind]["errors"][0]) > 0
    assert rows["dark"]["advantage"] is None  # what is dropped already is not worth a network
    monkeypatch.setattr(select, "explain", lambda *words: pytest.fail("scored again"))
    assert main(command) == 0


def test_clips_that_a_reference_has_learnt_are_dropped(folder, loras, model_folder, tmp_path):
    pytest.importorskip("peft", reason="peft is not installed: no LoRA can be trained")
    train = ["train-lora", str(folder), "--model", str(model_folder), *SMALL, "--steps", "12", "--rank", "4"]
    assert main([*train, "-o", str(tmp_path / "learnt"), "--rate", "0.02"]) == 0
    command = ["select", str(folder), "-o", str(tmp_path / "out"), "--model", str(model_folder), *SMALL]
    assert main([*command, "--reference", str(loras["strong"])]) == 0
    disturbed = rows_of(tmp_path / "out")
    assert main([*command, "--reference", str(tmp_path / "learnt"), "--most", "0.05"]) == 0
    for kind, row in rows_of(tmp_path / "out").items():
        if disturbed[kind]["accepted"]:
            assert row["advantage"] > 0.05 and row["advantage"] > disturbed[kind]["advantage"]
            assert not row["accepted"] and "the reference explains it better, by" in row["reason"]
    assert main([*command, "--reference", str(tmp_path / "learnt"), "--best", "0.5"]) == 0
    rows = rows_of(tmp_path / "out")
    pair = sorted(("good", "other"), key=lambda kind: rows[kind]["advantage"])
    assert [rows[kind]["accepted"] for kind in pair] == [True, False]


def windows(*kinds):
    return [Window(None, "", 0, 5, SIZE, source, weight) for source, weight in kinds]


def test_odds_keep_the_shares_of_sources_whatever_their_number():
    some = windows(("a", 1.0), ("a", 3.0), ("b", 1.0))
    assert odds_of(some, None).tolist() == pytest.approx([0.2, 0.6, 0.2])
    assert odds_of(some, {"a": 0.1, "b": 0.9}).tolist() == pytest.approx([0.025, 0.075, 0.9])
    assert odds_of(some, {"b": 1.0}).tolist() == [0.0, 0.0, 1.0]


def test_mixes_are_parsed_and_wrong_ones_refused():
    assert parse_mix("a=.3, b=.7", ["a", "b", "c"]) == {"a": 0.3, "b": 0.7}
    assert parse_mix("a=0,b=1", ["b"]) == {"a": 0.0, "b": 1.0}
    for text, reason in (("a=.3,b=.3", "add up to 0.6"), ("a", "write shares"), ("x=1", "no clips"), ("a=2", "from 0")):
        with pytest.raises(UserError, match=reason):
            parse_mix(text, ["a", "b"])


def test_captions_of_another_style_sources_and_tags(folder):
    clips = read_clips(folder, style="brief")
    assert {clip.caption for clip in clips} == {"a street"}
    marked = tagged(read_clips(folder), "synthetic", "cg render")
    assert {clip.caption[:9] for clip in marked if clip.source == "synthetic"} == {"cg render"}
    assert [clip.caption for clip in marked if clip.source == "photoreal"] == ["a other street"]
    assert tagged(marked, "synthetic", "cg render") == marked
    with pytest.raises(UserError, match="no fine that is a text"):
        read_clips(folder, style="fine")
    chosen = chosen_clips(clips, folder, {"good.mp4": 2.0, "gone.mp4": 1.0})
    assert [(clip.path.name, clip.weight) for clip in chosen] == [("good.mp4", 2.0)]
    with pytest.raises(UserError, match="names no clip"):
        chosen_clips(clips, folder, {"gone.mp4": 1.0})


def test_a_lora_is_trained_on_a_selection_with_shares_and_a_tag(folder, model_folder, tmp_path, capsys):
    pytest.importorskip("peft", reason="peft is not installed: no LoRA can be trained")
    assert main(["select", str(folder), "-o", str(tmp_path / "out")]) == 0
    command = ["train-lora", str(folder), "--model", str(model_folder), "-o", str(tmp_path / "lora"), *SMALL]
    command += ["--selection", str(tmp_path / "out" / "selection.jsonl"), "--tag", "on", "--steps", "2", "--rank", "2"]
    assert main([*command, "--mix", "synthetic=.25,photoreal=.75"]) == 0
    about = json.loads((tmp_path / "lora" / "training.json").read_text())
    assert about["mix"] == {"photoreal": 0.75, "synthetic": 0.25} and about["windows"] == 2
    assert "2 clips in 2 windows" in capsys.readouterr().out
    assert main([*command, "--mix", "synthetic=.5,photoreal=.5"]) == 2
    assert "other shares of --mix" in capsys.readouterr().err
    assert main([*command, "--mix", "rain=1"]) == 2
