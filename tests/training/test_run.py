"""The long run: killed it goes on as if it had not been, and what does not fit is refused in one sentence."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pipeline_core.errors import UserError
from pipeline_core.finetune.checkpoint import NAME, read_state, save_checkpoint
from training.run.log import RunLog
from training.run.loop import Habits, train
from training.run.opening import open_run
from training.run.process import ask_to_stop, holder, only_one

from .conftest import write_frames

ROOT = Path(__file__).resolve().parents[2]
FEW = {
    "schedule": "dit:3,decoder:2", "batch": 2, "vae_batch": 1, "first_scene": 10, "first_scenes": 3,
    "scene_every": 1000, "rate": 0.02,
}  # fmt: skip
QUIET = Habits(checkpoint_minutes=60, figures_minutes=0, compile=False)


@pytest.fixture(autouse=True)
def one_thread():
    """As in the command: with more threads sums come in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def given(tiny_start):
    return {**FEW, "start": str(tiny_start)}


def prepare(folder, seeds=range(10, 13)):
    for seed in seeds:
        write_frames(folder / "cache" / "frames", seed)
    return folder


def go(folder, given, steps, **habits):
    """Train in this process until `steps` are done."""
    run = open_run(folder, given)
    train(run, Habits(**{**vars(QUIET), **habits}), lambda: run.state["step"] >= steps, lambda line: None)
    return run


def tensors(folder):
    return load_file(folder / NAME)


def assert_same(one, two):
    one, two = tensors(one), tensors(two)
    assert one.keys() == two.keys()
    assert [name for name in one if not torch.equal(one[name], two[name])] == []


def test_a_killed_run_goes_on_as_if_it_had_not_been(tmp_path, given):
    whole, killed = prepare(tmp_path / "whole"), prepare(tmp_path / "killed")
    settings = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", "training", "run", "--nice", "0", "--out", str(killed), "--no-compile"]
    command += ["--figures-minutes", "0", "--checkpoint-minutes", "0", *settings]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while (read_state(killed) or {"step": 0})["step"] < 2 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    reached = read_state(killed)["step"]
    assert reached >= 2 and holder(killed) is None
    steps = reached + 4
    assert go(killed, {}, steps).state["step"] == steps
    go(whole, given, steps)
    assert_same(whole, killed)
    started = load_file(next(Path(given["start"]).glob("transformer/*.safetensors")))
    moved = tensors(whole)
    assert not torch.equal(moved["dit.weights.transformer.proj_out.weight"], started["proj_out.weight"])
    # Nothing that could run code when it is read.
    plain = {".safetensors", ".json", ".jsonl", ".png", ""}
    assert {path.suffix for path in killed.rglob("*") if path.is_file()} <= plain


def test_a_file_cut_short_by_the_kill_is_not_used(tmp_path, given):
    folder = prepare(tmp_path)
    go(folder, given, 3)
    (folder / f".{NAME}.0badcafe.part").write_bytes(b"cut")
    with (folder / "log.jsonl").open("a") as log:
        log.write('{"kind": "loss", "step": 2, "loss": 1}\n{"kind": "loss", "step": 9, "lo')
    assert open_run(folder, {}).state["step"] == 3
    assert [entry["step"] for entry in RunLog(folder, 3).entries("loss")] == [2]
    RunLog(folder).write("loss", 4, {"loss": 0.5})
    assert [entry["step"] for entry in RunLog(folder).entries("loss")] == [2, 4]
    save_checkpoint(folder, {}, {})
    assert not list(folder.glob(".*.part"))


def test_another_setting_is_refused_and_a_new_run_from_it_takes_it(tmp_path, given):
    folder = prepare(tmp_path / "one")
    go(folder, given, 4)
    with pytest.raises(UserError, match=r"has batch 2 and 3 came: leave it out, or start a new run"):
        open_run(folder, {"batch": 3})
    run = open_run(tmp_path / "two", {**given, "start": str(folder), "batch": 3})
    assert (run.state["step"], run.learners["dit"].step, run.config.batch) == (4, 3, 3)
    assert run.state["ancestors"][0]["config"]["batch"] == 2
    assert_same(folder, tmp_path / "two")
    with pytest.raises(UserError, match="nowhere came as start"):
        open_run(tmp_path / "three", {"start": "nowhere"})


def test_a_checkpoint_of_other_networks_is_refused(tmp_path, given):
    folder = prepare(tmp_path)
    go(folder, given, 1)
    config = folder / "start" / "transformer" / "config.json"
    config.write_text(config.read_text().replace('"adaln_lora_dim": 8', '"adaln_lora_dim": 6'))
    next((folder / "start" / "transformer").glob("*.safetensors")).unlink()
    from diffusers import CosmosTransformer3DModel

    values = CosmosTransformer3DModel.load_config(str(config.parent))
    CosmosTransformer3DModel.from_config(values).save_pretrained(str(config.parent))
    with pytest.raises(UserError, match="does not fit"):
        open_run(folder, {})


def test_steps_end_the_run_and_the_cooldown_ends_at_rest(tmp_path, given):
    folder = prepare(tmp_path)
    run = open_run(folder, {**given, "steps": 6, "cooldown": 2})
    train(run, QUIET, lambda: False, lambda line: None)
    assert run.state["step"] == 6


def test_two_runs_cannot_share_a_folder_and_a_stop_file_is_heard(tmp_path):
    code = "import sys,time;from pathlib import Path;from training.run.process import *\n"
    code += "with only_one(Path(sys.argv[1])):\n s=StopRequest(Path(sys.argv[1]))\n print('in',flush=True)\n"
    code += " while not s(): time.sleep(.01)\n"
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
    process.stdout.readline()
    assert holder(tmp_path) == process.pid
    with pytest.raises(UserError, match=f"trained by process {process.pid}"), only_one(tmp_path):
        pass
    assert ask_to_stop(tmp_path, 30)
    assert process.wait(10) == 0


def test_sigterm_ends_after_the_step(tmp_path):
    from training.run.process import StopRequest

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    try:
        stop = StopRequest(tmp_path)
        assert not stop()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL  # the next one ends at once
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])


def test_gradients_that_are_not_finite_change_nothing_and_end_the_run_when_they_stay(tmp_path, given, monkeypatch):
    folder = prepare(tmp_path)
    run = open_run(folder, given)
    before = {name: p.detach().clone() for name, p in run.learners["dit"].network.named_parameters()}

    def broken(networks, batch, weights):
        return sum(p.sum() for p in networks.parameters()) * torch.full((2,), float("nan"))

    monkeypatch.setattr("training.run.loop.prediction_errors", broken)
    with pytest.raises(UserError, match="not finite"):
        train(run, QUIET, lambda: run.state["step"] > 99, lambda line: None)
    after = dict(run.learners["dit"].network.named_parameters())
    assert all(torch.equal(before[name], after[name]) for name in before)
