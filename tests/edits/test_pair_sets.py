"""Pair sets on a tiny model: the limits of Prompt-to-Prompt, exact pairs, resuming, kills, the filter, commands."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from tiny_metrics import save_clip

from pipeline_core.__main__ import main
from pipeline_core.batch.networks import NetworkChoice, load_networks
from pipeline_core.edits import make as making
from pipeline_core.edits.filter import INDEX, Judge, filter_pairs, read_rows
from pipeline_core.edits.make import make_pairs
from pipeline_core.edits.pairs import PairSettings, exact_pair, model_pair
from pipeline_core.edits.plan import PairRecipe, plan_pairs
from pipeline_core.edits.replacement import Shares
from pipeline_core.edits.scores import Thresholds
from pipeline_core.edits.triples import Triple, write_triples
from pipeline_core.errors import UserError
from pipeline_core.job.plan import prepare
from pipeline_core.perception.text_image import TextImage
from pipeline_core.video import media
from pipeline_core.world import make_scene, render

FRAMES, SIZE = 5, (32, 48)
NIGHT = Triple("a photoreal street", "make it night", "a photoreal street at night")
SAME = Triple("a street", "leave it", "a street")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Two scenes of the world with their buffers."""
    folder = tmp_path_factory.mktemp("clips")
    for seed in (1, 2):
        files = ["-o", str(folder / f"{seed}.mp4"), "--buffers", str(folder / f"{seed}_buffers")]
        assert main(["render", "--seed", str(seed), "--frames", "6", "--size", "32x48", *files]) == 0
    return folder


@pytest.fixture(scope="module")
def networks(model_folder):
    return load_networks(NetworkChoice(model=str(model_folder), precision="fp32"))


def pair(networks, triple, **settings):
    # An exact inversion has no place for less.
    settings = PairSettings(steps=8 if settings.get("start") == "inversion" else 3, controls={"edge": 1.0}, **settings)
    clip = torch.rand(FRAMES, *SIZE, 3, generator=torch.Generator().manual_seed(1))
    job = prepare(FRAMES, SIZE, networks.model, settings.job(4))
    return clip, *model_pair(job, clip, triple, settings)


@pytest.mark.parametrize("start", ("noise", "inversion"))
def test_with_the_same_caption_and_everything_replaced_a_pair_is_identical(networks, start):
    _, source, edited = pair(networks, SAME, shares=Shares(1.0, 1.0), start=start)
    assert source.shape == (FRAMES, *SIZE, 3)
    assert torch.allclose(source, edited, atol=1e-4)  # rows of one batch are summed in another order


def test_the_source_of_a_pair_is_what_its_caption_alone_gives(networks):
    _, source, edited = pair(networks, NIGHT, shares=Shares(0.8, 0.4))
    _, alone, free = pair(networks, NIGHT, shares=Shares(0.0, 0.0))
    assert torch.allclose(source, alone, atol=1e-4)
    assert (edited - source).abs().max() > 1e-3 and (edited - free).abs().max() > 1e-4


def test_from_its_own_noise_the_source_is_the_clip_again(networks):
    clip, source, _ = pair(networks, NIGHT, start="inversion")
    again = networks.model.decode(networks.model.encode(clip)).clamp(0, 1)
    assert torch.allclose(source, again, atol=1e-3)


def test_what_is_no_setting_is_refused():
    with pytest.raises(UserError, match="start"):
        PairSettings(start="other")
    for wrong in ({"pairs": 0}, {"by": "hand"}, {"frames": 0}):
        with pytest.raises(UserError, match=next(iter(wrong))):
            PairRecipe(**wrong)


def planned(clips, out, model_folder, triples=None, pairs=2, **recipe):
    settings = PairSettings(steps=1, controls={"edge": 1.0})
    recipe = PairRecipe(pairs=pairs, settings=settings, **recipe)
    return recipe, plan_pairs(clips, out, recipe, NetworkChoice(model=str(model_folder)), triples)


def test_exact_pairs_are_the_scene_in_two_styles(clips, tmp_path, model_folder, networks):
    recipe, tasks = planned(clips, tmp_path, model_folder, by="exact", pairs=1)
    [row] = make_pairs(tasks[:1], tmp_path, recipe, networks.model.preset)
    assert row["frames"] == FRAMES and row["accepted"] is None
    for side, style in zip(("source", "edited"), row["styles"]):
        truth = render(make_scene(1), 1, SIZE, style).rgb
        assert (media.read_clip(tmp_path / row[side], 0, 1) - truth).abs().mean() < 0.02


def test_an_exact_pair_of_another_scene_or_edit_is_refused():
    class Buffers:
        scene, frames = {"seed": 1, "fps": 24.0, "style": "synthetic"}, FRAMES

    clip, styles = render(make_scene(1), 2, SIZE).rgb, ("synthetic", "photoreal.night")
    assert len(exact_pair(Buffers, clip, SIZE, styles)[1]) == 2
    with pytest.raises(UserError, match="not scene 1"):
        exact_pair(Buffers, render(make_scene(2), 2, SIZE).rgb, SIZE, styles)
    with pytest.raises(UserError, match="not from one style"):
        exact_pair(Buffers, clip, SIZE, None)
    with pytest.raises(UserError, match="no scene"):
        exact_pair(None, clip, SIZE, styles)


def test_a_set_is_made_once_and_again_where_something_changed(clips, tmp_path, model_folder, networks, monkeypatch):
    calls = []
    monkeypatch.setattr(making, "_rendered", counted(making._rendered, calls))
    recipe, tasks = planned(clips, tmp_path, model_folder)
    rows = make_pairs(tasks, tmp_path, recipe, networks)
    assert [row["id"] for row in rows] == ["1.000", "1.001", "2.000", "2.001"] and len(calls) == 4
    assert len({(row["caption"], row["edited_caption"]) for row in rows}) == 4
    assert make_pairs(planned(clips, tmp_path, model_folder)[1], tmp_path, recipe, networks) == rows and len(calls) == 4
    tasks[1].file(tmp_path, "edited.mp4").unlink()
    assert make_pairs(tasks, tmp_path, recipe, networks) == rows and len(calls) == 5
    recipe, tasks = planned(clips, tmp_path, model_folder, seed=1)
    make_pairs(tasks, tmp_path, recipe, networks)
    assert len(calls) == 9
    assert len((tmp_path / INDEX).read_text().splitlines()) == 4


def counted(function, calls):
    def wrapped(task, *arguments):
        calls.append(task.name)
        return function(task, *arguments)

    return wrapped


def test_triples_of_a_file_are_dealt_to_the_clips(clips, tmp_path, model_folder):
    triples = [Triple(f"street {n}", "go on", f"road {n}") for n in range(3)]
    _, tasks = planned(clips, tmp_path, model_folder, triples)
    assert [task.triple for task in tasks] == [triples[0], triples[1], triples[2], triples[0]]
    assert len({task.seed for task in tasks}) == 4


def test_a_clip_that_cannot_be_read_is_said_and_the_others_are_made(clips, tmp_path, model_folder, networks):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"no clip")
    (folder / "b.mp4").write_bytes((clips / "1.mp4").read_bytes())
    recipe, tasks = planned(folder, tmp_path / "out", model_folder, [NIGHT], pairs=1)
    rows = make_pairs(tasks, tmp_path / "out", recipe, networks)
    assert [row["status"] for row in rows] == ["failed", "done"]
    assert "a.mp4" in rows[0]["reason"] and rows[0]["source"] is None


def brightness():
    """A network for which a caption is dark or not, and a frame as it is."""

    def features(values):
        return torch.stack([values, 1 - values], 1)

    return TextImage(
        lambda frames: features(frames.mean((1, 2, 3))),
        lambda texts: features(torch.tensor([0.1 if "night" in text else 0.9 for text in texts])), 1.0,
    )  # fmt: skip


def written(folder, name, level):
    frames = torch.full((3, 32, 48, 3), level)
    with media.VideoWriter(folder / name, 24, (32, 48), full_chroma=True) as file:
        file.write(frames)


@pytest.fixture
def listing(tmp_path):
    """Clips in general: a good pair, one in which nothing happened, one whose edit is gone."""
    for name, level in (("day.mp4", 0.9), ("night.mp4", 0.1), ("still.mp4", 0.88)):
        written(tmp_path, name, level)
    texts = {"caption": "by day", "instruction": "make it night", "edited_caption": "at night"}
    lines = [{"source": "day.mp4", "edited": name, **texts} for name in ("night.mp4", "still.mp4", "gone.mp4")]
    (tmp_path / "list.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path / "list.jsonl"


def test_pairs_of_any_clips_are_judged_with_reasons(listing, tmp_path):
    from pipeline_core.edits.filter import list_pairs

    out = tmp_path / "set"
    list_pairs(listing, listing.parent, out)
    looked = []
    network = brightness()
    counting = TextImage(lambda frames: looked.append(len(frames)) or network.image(frames), network.texts, 1.0)
    judge = Judge(counting, "brightness", Thresholds(text=0.9, frames=0.0, direction=0.9))
    good, still, gone = filter_pairs(out, judge)
    assert good["accepted"] and good["reason"] is None and good["scores"]["direction"] == pytest.approx(1, abs=0.02)
    assert not still["accepted"] and "text_edited" in still["reason"]
    assert not gone["accepted"] and "gone.mp4" in gone["reason"]
    assert [json.loads(line)["accepted"] for line in (out / INDEX).read_text().splitlines()] == [True, False, False]
    before = len(looked)
    list_pairs(listing, listing.parent, out)  # what is scored stays so
    stricter = Judge(counting, "brightness", Thresholds(text=0.9, frames=0.5, direction=0.9))
    assert "frames" in filter_pairs(out, stricter)[0]["reason"] and len(looked) == before
    filter_pairs(out, Judge(counting, "another", stricter.thresholds))
    assert len(looked) > before


def test_the_commands_write_make_and_filter(clips, tmp_path, model_folder, capsys):
    out, quick = tmp_path / "set", ["--model", str(model_folder), "--steps", "1", "--pairs", "1"]
    judge = ["--clip-model", str(save_clip(tmp_path / "clip")), "--text", "-1", "--alike", "-1", "--direction", "-1"]
    assert (
        main(["pairs", "prompts", str(clips), "-o", str(tmp_path / "t.jsonl"), "--json", str(tmp_path / "t.json")]) == 0
    )
    assert json.loads((tmp_path / "t.json").read_text())["triples"] == 8
    triples = ["--triples", str(tmp_path / "t.jsonl")]
    assert main(["pairs", "make", str(clips), str(out), *triples, *quick, *judge]) == 0
    assert "2 pairs of 2, 2 accepted" in capsys.readouterr().out
    assert main(["pairs", "filter", str(out), *judge[:2], "--alike", "1"]) == 0
    assert "0 accepted" in capsys.readouterr().out
    assert {row["thresholds"]["frames"] for row in read_rows(out)} == {1.0}


@pytest.mark.parametrize(
    "arguments, said",
    (
        (["make", "IN", "OUT", "--cross", "2"], "cross"),
        (["make", "IN", "OUT", "--edits", "colour"], "--edits"),
        (["make", "IN", "IN"], "OUT"),
        (["make", "IN", "FULL"], "something else"),
        (["filter", "OUT", "--text", "5"], "text"),
        (["prompts", "GONE", "-o", "x.jsonl"], "no folder"),
    ),
)
def test_bad_input_is_one_sentence(clips, tmp_path, arguments, said, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    names = {"IN": str(clips), "OUT": "out", "FULL": "full", "GONE": "gone"}
    assert main(["pairs", *(names.get(word, word) for word in arguments)]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_a_set_that_was_killed_goes_on_to_the_same_pairs(clips, tmp_path, model_folder, networks):
    write_triples(tmp_path / "t.jsonl", [NIGHT, Triple("a street", "make it day", "a photoreal street")])
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    options = ["--triples", str(tmp_path / "t.jsonl"), "--model", str(model_folder), "--steps", "1", "--pairs", "2"]
    command = [sys.executable, "-m", "pipeline_core", "pairs", "make", str(clips), str(killed), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None and not any((killed / "pairs").glob("*/*.json")):
            time.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    # Scores come at the end, where there is an encoder.
    verdict = {"scores", "scored_by", "thresholds", "accepted", "reason"}

    def unscored(path):
        return {name: value for name, value in json.loads(path.read_text()).items() if name not in verdict}

    rows = {path: unscored(path) for path in killed.glob("pairs/1/*.json")}
    assert rows
    for out in (killed, whole):
        assert main(["pairs", "make", str(clips), str(out), *options]) == 0
    assert all(unscored(path) == row for path, row in rows.items())  # what was there is there
    files = [sorted(p.relative_to(out) for p in out.rglob("*") if p.is_file()) for out in (killed, whole)]
    assert files[0] == files[1]
    for path in files[0]:
        if path.suffix == ".mp4":
            assert torch.equal(media.read_clip(killed / path), media.read_clip(whole / path))
