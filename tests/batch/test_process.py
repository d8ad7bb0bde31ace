"""One clip, one row: what is in it, that nothing is raised whatever happens, and which of several tries is taken."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from pipeline_core.batch.clips import Source
from pipeline_core.batch.ends import Lost
from pipeline_core.batch.gate import judge
from pipeline_core.batch.process import process
from pipeline_core.batch.recipe import Variant
from pipeline_core.batch.rows import DONE, FAILED, INPUT, MACHINE, REJECTED, STOPPED, Task, read_row, write_row
from pipeline_core.batch.rules import GateRules
from pipeline_core.conditions.buffers import fingerprint
from pipeline_core.errors import UserError
from pipeline_core.video import media
from pipeline_core.video.files import unfinished_name

HASHES = {"input": "i", "settings": "s", "model": "m", "code": "c"}
VARIANT = Variant("night-0", {"steps": 2}, "night", 0, 7)
WORDS = {"prompt": "p", "negative_prompt": "n", "inversion_prompt": "v"}


class Maker:
    """Copies the clip. ends: what happens at each try instead, None for nothing."""

    def __init__(self, *ends):
        self.ends, self.variants = list(ends), []

    def enhance(self, facts, target, variant, buffers, progress, window_kept):
        self.variants.append(variant)
        end = self.ends.pop(0) if self.ends else None
        if end is not None:
            raise end
        window_kept()
        shutil.copy(facts.path, target)
        target.with_name(f"{target.name}.windows").mkdir()
        settings = {**WORDS, **variant.settings, "seed": variant.seed}
        return {"settings": settings, "warnings": [], "notes": [], "plan": {"windows": [[0, 5]]}}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    clip = tmp_path_factory.mktemp("clip") / "a.mp4"
    media.write_clip(clip, torch.rand(5, 32, 48, 3, generator=torch.Generator().manual_seed(0)), 12.5)
    return Source("a", clip)


def gate_of(figures, **rules):
    """A gate of one check that sees these figures, try after try."""
    rules, figures = GateRules({"edge_f1": 0.5}, **rules), list(figures)

    def judged(clip, result, buffers, windows, look):
        assert result.is_file() and windows == [[0, 5]] and look == VARIANT.look
        measured = {"edge_f1": figures.pop(0)}
        return measured, judge(measured, rules.thresholds)

    return SimpleNamespace(rules=rules, judged=judged)


def written(source, out, row):
    task = Task(source, VARIANT, HASHES)
    write_row(out, task, row)
    assert read_row(out, task) == json.loads(json.dumps(row))
    return sorted(path.name for path in task.output(out).parent.iterdir())


def test_the_row_says_what_was_made_of_what(source, tmp_path):
    row = process(source, VARIANT, tmp_path, Maker(), HASHES)
    assert written(source, tmp_path, row) == ["night-0.json", "night-0.mp4"]
    assert {"version", "id", "variant", "status", "reason", "input", "output", "frames", "size", "fps", "settings",
            "seed", "prompts", "figures", "verdict", "timings", "hashes", "attempt"} <= row.keys()  # fmt: skip
    assert (row["status"], row["frames"], row["size"], row["fps"], row["seed"]) == (DONE, 5, [32, 48], 12.5, 7)
    assert row["hashes"] == {**HASHES, "output": fingerprint(tmp_path / row["output"])} and row["prompts"] == WORDS
    assert row["verdict"] == {"accepted": True, "checks": [], "attempts": 1} and row["reason"] is None


def test_what_json_has_no_word_for_is_none(source, tmp_path):
    row = process(source, VARIANT, tmp_path, Maker(), HASHES)
    row["settings"]["cfg_range"], row["figures"] = (0.5, float("inf")), {"a": float("nan"), "b": 1.5}
    write_row(tmp_path, Task(source, VARIANT, HASHES), row)
    read = read_row(tmp_path, Task(source, VARIANT, HASHES))
    assert read["settings"]["cfg_range"] == [0.5, None] and read["figures"] == {"a": None, "b": 1.5}


@pytest.mark.parametrize(
    "end, fault, words",
    [
        (UserError("The clip is odd."), INPUT, "The clip is odd."),
        (Lost("The server is gone."), MACHINE, "The server is gone."),
        (MemoryError(), MACHINE, "memory is used up"),
        (RuntimeError("CUDA error: device-side assert\nmore"), MACHINE, "CUDA error: device-side assert"),
        (RecursionError(), MACHINE, "nested"),
        (OSError(28, "No space left", "x"), MACHINE, "x"),
    ],
)
def test_whatever_happens_is_a_sentence_and_never_raised(source, tmp_path, end, fault, words):
    row = process(source, VARIANT, tmp_path, Maker(end), HASHES)
    assert (row["status"], row["fault"]) == (FAILED, fault)
    assert words in row["reason"] and row["reason"].endswith(".") and "\n" not in row["reason"]
    assert row["output"] is None and written(source, tmp_path, row) == ["night-0.json"]
    gone = process(Source("b", tmp_path / "gone.mp4"), VARIANT, tmp_path, Maker(), HASHES)
    assert (gone["status"], gone["fault"]) == (FAILED, INPUT)


def test_asked_to_stop_it_keeps_its_windows_and_is_no_result(source, tmp_path):
    row = process(source, VARIANT, tmp_path, Maker(), HASHES, stop=lambda: True)
    assert row["status"] == STOPPED and row["reason"] is None and row["output"] is None


def test_a_rejected_result_is_tried_again_with_other_settings(source, tmp_path):
    maker = Maker()
    gate = gate_of([0.1, 0.9], retry=({"cfg": 2.0},))
    row = process(source, VARIANT, tmp_path, maker, HASHES, gate=gate)
    assert row["status"] == DONE and row["verdict"]["attempts"] == 2 and row["figures"] == {"edge_f1": 0.9}
    assert [variant.settings for variant in maker.variants] == [{"steps": 2}, {"steps": 2, "cfg": 2.0}]
    assert row["settings"]["cfg"] == 2.0 and row["seed"] == maker.variants[1].seed != VARIANT.seed
    assert written(source, tmp_path, row) == ["night-0.json", "night-0.mp4"]


def test_where_no_try_is_good_enough_the_best_is_kept_as_rejected(source, tmp_path):
    gate = gate_of([0.1, 0.3, 0.2], retry=({"cfg": 2.0}, {"cfg": 3.0}))
    row = process(source, VARIANT, tmp_path, Maker(), HASHES, gate=gate)
    assert row["status"] == REJECTED and row["figures"] == {"edge_f1": 0.3} and row["verdict"]["attempts"] == 3
    assert "edge_f1" in row["reason"] and not row["verdict"]["accepted"] and row["settings"]["cfg"] == 2.0
    assert written(source, tmp_path, row) == ["night-0.json", "night-0.mp4"]


def test_of_several_the_best_is_taken(source, tmp_path):
    row = process(source, VARIANT, tmp_path, Maker(), HASHES, gate=gate_of([0.6, 0.9, 0.7], best_of=3))
    assert row["status"] == DONE and row["figures"] == {"edge_f1": 0.9} and row["verdict"]["attempts"] == 3
    assert written(source, tmp_path, row) == ["night-0.json", "night-0.mp4"]


def test_what_a_killed_process_left_of_its_clip_goes_with_the_result(source, tmp_path):
    task = Task(source, VARIANT, HASHES)
    task.trial(tmp_path, 0).parent.mkdir(parents=True)
    left = unfinished_name(task.trial(tmp_path, 0))
    left.write_bytes(b"half a clip")
    other = unfinished_name(Task(source, replace(VARIANT, name="night-01"), HASHES).trial(tmp_path, 0))
    other.write_bytes(b"another's")
    names = written(source, tmp_path, process(source, VARIANT, tmp_path, Maker(), HASHES))
    assert sorted(names) == sorted([other.name, "night-0.json", "night-0.mp4"])


def test_a_row_of_an_older_result_never_stands_beside_a_newer_clip(source, tmp_path, monkeypatch):
    written(source, tmp_path, process(source, VARIANT, tmp_path, Maker(), HASHES))
    row = process(source, VARIANT, tmp_path, Maker(), {**HASHES, "settings": "other"})
    task = Task(source, VARIANT, {**HASHES, "settings": "other"})
    assert read_row(tmp_path, task)["hashes"]["settings"] == "s", "the older result stands until the newer is judged"
    from pipeline_core.batch import rows

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(rows, "write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        write_row(tmp_path, task, row)
    assert read_row(tmp_path, task) is None
