"""What a run leaves for people: the candidate's weights are the chosen averages, and only export puts them in place."""

import json
import shutil

import pytest
import torch
from safetensors import safe_open

from pipeline_core.errors import UserError
from pipeline_core.models.folders.preset_file import read_preset
from training.export import load_networks
from training.latents import encoder_mark, load_vae
from training.run.candidate import describe_candidate, export_candidate, write_candidate
from training.run.config import RunConfig
from training.run.fresh import write_fresh_model
from training.run.loop import one_step
from training.run.opening import open_run
from training.run.plot import plot_run

from .conftest import write_frames
from .test_run import FEW, go, prepare

FIGURES = {
    "error": {"16.97": 0.51, "6.94": 0.5, "2.0": 0.52}, "error_bins": [0.5] * 5, "vae": {"2.0": 20.0},
    "vae_photoreal": 21.0, "vae_synthetic": 19.0, "psnr": 18.0, "sign_psnr": 15.0,
}  # fmt: skip


def test_the_candidate_is_the_chosen_average_and_export_puts_it_in_place(tmp_path, tiny_start):
    folder, model = prepare(tmp_path / "run"), tmp_path / "model"
    shutil.copytree(tiny_start, model)
    run = go(folder, {**FEW, "start": str(tiny_start)}, 5)
    with pytest.raises(UserError, match="has no candidate yet"):
        export_candidate(folder, model, "")
    write_candidate(run, {"dit": 2.0, "vae": 6.94})
    describe_candidate(run, FIGURES)
    line = export_candidate(folder, model, "A note.")
    assert line.startswith("step 5: ")
    written = dict(load_networks(model).named_parameters())
    average = run.learners["dit"].averages[2.0]
    assert all(torch.equal(written[name], tensor.half().float()) for name, tensor in average.items())
    decoded = dict(load_vae(model / "vae").named_parameters())
    average = run.learners["vae"].averages[6.94]
    assert all(torch.equal(decoded[name], tensor.half().float()) for name, tensor in average.items())
    assert read_preset(model).maps == "embedded"
    card = (model / "README.md").read_text()
    assert "tuning error 0.5000, VAE 21.0 dB photoreal and 19.0 dB synthetic" in card and "A note." in card
    assert len(json.loads((model / "training.json").read_text())) == 1


def test_when_the_encoder_has_learnt_its_last_step_latents_are_made_anew(tmp_path, tiny_start):
    folder = prepare(tmp_path)
    run = go(folder, {**FEW, "start": str(tiny_start), "schedule": "vae:2;dit:2"}, 3)
    vae = run.learners["vae"].network
    assert encoder_mark(vae) != encoder_mark(load_vae(tiny_start / "vae"))
    with safe_open(str(run.cache.latents(10)), "pt") as shard:
        assert shard.metadata()["vae"] == encoder_mark(vae)
    again = open_run(folder, {})
    assert encoder_mark(again.learners["vae"].network) == encoder_mark(vae)
    assert all(torch.equal(p, run.learners["vae"].averages[2.0][name]) for name, p in vae.named_parameters())


def test_a_run_from_scratch_begins_with_a_whole_model(tmp_path, monkeypatch):
    monkeypatch.setattr("training.run.fresh.SCENES", 8)
    for seed in range(8):
        write_frames(tmp_path / "cache" / "frames", seed)
    write_fresh_model(tmp_path / "start", tmp_path / "cache", RunConfig(first_scene=0))
    run = open_run(
        tmp_path, {**FEW, "start": "scratch", "first_scene": 0, "first_scenes": 8, "schedule": "vae:1;dit:1"}
    )
    losses = [one_step(run, task)[0] for task in ("vae", "dit")]
    assert all(torch.isfinite(torch.tensor(losses)))


def test_the_picture_shows_a_run_with_and_without_figures(tmp_path):
    from training.run.log import RunLog

    log = RunLog(tmp_path)
    plot_run(log, tmp_path / "run.png")
    empty = (tmp_path / "run.png").read_bytes()
    log.write("loss", 25, {"task": "dit", "loss": 0.5, "cpu_hours": 0.1})
    log.write("figures", 25, FIGURES | {"cpu_hours": 0.1})
    plot_run(log, tmp_path / "run.png")
    assert (tmp_path / "run.png").read_bytes() != empty
    assert not list(tmp_path.glob("*.part*"))
