"""The command on a folder with poison in it: real processes that die, hang and are killed; the truth is on the disk."""

import functools
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import poison
from pipeline_core.__main__ import main
from pipeline_core.cli import enhance_folder
from pipeline_core.conditions.buffers import fingerprint
from pipeline_core.video import media

ROOT = Path(__file__).parents[2]
QUICK = ("--start", "noise", "--steps", "2", "--precision", "fp32")


def arguments(folder, out, model_folder, *more):
    given = ("enhance-folder", folder, out, "--model", model_folder, "--recipe", folder / poison.RECIPE, *QUICK, *more)
    return [str(part) for part in given]


def rows_of(out):
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(out.glob("clips/*/*.json"))}


def quarantine_of(out):
    return [json.loads(line) for line in (out / "quarantine.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, model_folder):
    """(folder, out): four clips, made in one run of one process."""
    folder = tmp_path_factory.mktemp("many") / "in"
    poison.make_folder(folder, 4, ())
    out = folder.parent / "out"
    assert main(arguments(folder, out, model_folder)) == 0
    return folder, out


def test_a_result_is_what_enhance_makes_of_the_clip_alone(whole, model_folder, tmp_path):
    folder, out = whole
    rows = rows_of(out)
    assert len(rows) == 4 and {row["status"] for row in rows.values()} == {"done"}
    row, alone = rows["clip_003"], tmp_path / "alone.mp4"
    command = ["enhance", folder / "clip_003.mp4", "-o", alone, "--model", model_folder, *QUICK, "--seed", row["seed"]]
    assert main([str(part) for part in command]) == 0
    assert bool((media.read_clip(out / row["output"]) == media.read_clip(alone)).all())
    assert row["hashes"]["output"] == fingerprint(out / row["output"]) and row["frames"] == poison.FRAMES
    assert row["size"] == list(poison.SIZE) and row["settings"]["steps"] == 2 and row["prompts"]["prompt"]
    assert row["timings"]["seconds"] >= row["timings"]["tries_seconds"] > 0
    assert rows["clip_000"]["input"]["buffers"] == str(folder / "clip_000_buffers")
    assert sorted(p.name for p in (out / "clips" / "clip_003").iterdir()) == ["default-0.json", "default-0.mp4"]
    assert not (out / "quarantine.jsonl").exists() and "clip_003" in (out / "index.html").read_text()


def test_run_again_nothing_is_made_again_and_a_dry_run_writes_nothing(whole, model_folder, capsys):
    folder, out = whole
    before = {path: path.stat().st_mtime_ns for path in out.glob("clips/**/*")}
    assert main(arguments(folder, out, model_folder)) == 0
    assert main(arguments(folder, out, model_folder, "--dry-run", "--steps", "3")) == 0
    said = capsys.readouterr().out
    assert said.count("to do again: other settings") == 4 and "4 results are made again: their settings changed" in said
    assert {path: path.stat().st_mtime_ns for path in out.glob("clips/**/*")} == before
    assert main(arguments(folder, out.parent / "nowhere", model_folder, "--dry-run")) == 0
    assert not (out.parent / "nowhere").exists() and capsys.readouterr().out.count("to do") == 4


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_poison_is_quarantined_with_a_sentence_and_the_rest_is_done(model_folder, tmp_path, monkeypatch):
    kinds = ("truncated", "text", "other_buffers", "nan", "bug", "kill")
    folder, out = tmp_path / "in", tmp_path / "out"
    poison.make_folder(folder, 9, kinds)
    slots = functools.partial(enhance_folder.local_slots, target=poison.serve)
    monkeypatch.setattr(enhance_folder, "local_slots", slots)
    assert main(arguments(folder, out, model_folder, "--retries", "0", "--workers", "2")) == 0
    rows, failures = rows_of(out), {line["id"]: line for line in quarantine_of(out)}
    assert {name for name, row in rows.items() if row["status"] == "done"} == {f"clip_{k:03d}" for k in range(3)}
    assert failures.keys() == {f"poison_{kind}" for kind in kinds} and len(quarantine_of(out)) == len(kinds)
    for kind, word in zip(kinds, ("2 can be decoded", "video", "another clip", "nan", "nobody", "SIGKILL")):
        reason = failures[f"poison_{kind}"]["reason"]
        assert word in reason and reason.endswith(".") and "\n" not in reason, reason
        assert rows[f"poison_{kind}"]["reason"] == reason and rows[f"poison_{kind}"]["output"] is None
    left = [path for path in out.rglob("*") if path.name.startswith(".") or ".windows" in path.name]
    assert left == [] and list((out / "leases").iterdir()) == []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_ended_in_the_middle_the_same_command_goes_on(whole, model_folder, tmp_path, number):
    folder, expected = whole[0], rows_of(whole[1])
    out = tmp_path / "out"
    command = [sys.executable, "-m", "pipeline_core", *arguments(folder, out, model_folder)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not rows_of(out):
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode in (-number, 130, 0), said
    if number == signal.SIGTERM and process.returncode:
        assert "the same command goes on" in said and list((out / "leases").iterdir()) == []
    before = {name: (out / row["output"]).stat().st_ino for name, row in rows_of(out).items()}
    assert before
    assert main(command[3:]) == 0
    rows = rows_of(out)
    assert {name: row["hashes"] for name, row in rows.items()} == {n: row["hashes"] for n, row in expected.items()}
    assert {name: (out / rows[name]["output"]).stat().st_ino for name in before} == before, "none was made again"
    assert list((out / "leases").iterdir()) == []


def test_what_is_wrong_with_the_command_is_one_sentence(whole, model_folder, tmp_path, capsys):
    folder, out = whole[0], tmp_path / "out"
    for more, word in (
        (("--shard", "3/2"), "--shard"),
        (("--workers", "0"), "--workers"),
        (("--retries", "-1"), "--retries"),
        (("--timeout", "0"), "--timeout"),
        (("--engine", "comfyui"), "--servers"),
        (("--engine", "comfyui", "--servers", "127.0.0.1:9"), "No ComfyUI answers"),
        (("--engine", "comfyui", "--servers", "no address"), "is no address"),
        (("--recipe", tmp_path / "gone.yaml"), "gone.yaml"),
    ):
        assert main(arguments(folder, out, model_folder, *more)) == 2
        said = capsys.readouterr().err.strip().splitlines()
        assert len([line for line in said if line.startswith("error: ")]) == 1 and word in said[-1], said
    assert main(arguments(folder, folder.parent, model_folder)) == 2
    assert main(arguments(folder, out, tmp_path)) == 2
    assert not (out / "clips").exists()


def test_the_gate_of_a_recipe_rejects_and_says_why(whole, model_folder, tmp_path, capsys):
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "out"
    recipe.write_text("gate: {thresholds: {edge_f1: 0.99}}\nlooks: [night]\n")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.mp4").write_bytes((whole[0] / "clip_000.mp4").read_bytes())
    command = ["enhance-folder", folder, out, "--model", model_folder, "--recipe", recipe, *QUICK]
    assert main([str(part) for part in command]) == 0
    (row,) = rows_of(out).values()
    assert row["status"] == "rejected" and "edge_f1" in row["reason"] and row["look"] == "night"
    assert row["figures"]["edge_f1"] < 0.99 and (out / "clips" / "a" / "night-0.mp4").is_file()
    failed = {check["name"] for check in row["verdict"]["checks"] if check["passed"] is False}
    assert "edge_f1" in failed and not row["verdict"]["accepted"]
    assert capsys.readouterr().out.splitlines()[-1].split() == ["night-0", "0", "1", "0", "0"]
