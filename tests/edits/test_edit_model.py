"""The edit model in use: as it was trained, shared parts, guidance of three terms, long clips, the command."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from pipeline_core.__main__ import main
from pipeline_core.batch import hashes
from pipeline_core.batch.hashes import model_hash
from pipeline_core.batch.networks import NetworkChoice
from pipeline_core.diffusion import VE
from pipeline_core.enhance import enhance
from pipeline_core.errors import UserError
from pipeline_core.job.settings import EnhanceSettings, edit_settings
from pipeline_core.models.folders import loading
from pipeline_core.models.folders.layout import is_edit_folder
from pipeline_core.models.folders.loading import edit_folder, load_video_model
from pipeline_core.models.folders.memory import plan_memory
from pipeline_core.models.folders.preset import Preset
from pipeline_core.models.folders.preset_file import read_preset
from pipeline_core.models.networks.prediction import clean_prediction, flow_state, network_input
from pipeline_core.models.networks.text import tokenise
from pipeline_core.video import media
from training.edits.network import edit_forward
from training.export import load_networks

NIGHT = "a street at night"


@pytest.fixture(scope="module")
def model(edit_model_folder):
    return load_video_model(edit_model_folder, precision="fp32")


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def clip(frames=5, size=(32, 48)):
    return torch.rand(frames, *size, 3, generator=torch.Generator().manual_seed(1))


def test_the_folder_holds_no_part_that_the_model_beside_it_has(edit_model_folder, model_folder):
    assert {path.name for path in edit_model_folder.iterdir() if path.is_dir()} == {
        "transformer",
        "text_encoder",
        "scheduler",
    }
    assert is_edit_folder(edit_model_folder) and not is_edit_folder(model_folder)
    own, other = (
        {part.name: part.in_memory for part in plan_memory(folder, read_preset(folder)).parts}
        for folder in (edit_model_folder, model_folder)
    )
    assert own["vae"] == other["vae"] > 0 and own["transformer"] > other["transformer"]


def test_without_that_model_it_says_what_is_missing(edit_model_folder, tmp_path):
    alone = shutil.copytree(edit_model_folder, tmp_path / "alone")
    with pytest.raises(UserError, match="shares parts of the model folder .* beside it: put that there"):
        load_video_model(alone)


@pytest.mark.parametrize("named", ["../model", "..", "", 3])
def test_nothing_but_a_folder_beside_it_is_taken_parts_from(edit_model_folder, tmp_path, named):
    alone = shutil.copytree(edit_model_folder, tmp_path / "alone")
    index = json.loads((alone / "model_index.json").read_text())
    (alone / "model_index.json").write_text(json.dumps(index | {"_shares": named}))
    with pytest.raises(UserError, match="beside it"):
        load_video_model(alone)


def test_a_changed_vae_of_the_folder_beside_it_is_another_model(edit_model_folder, model_folder, tmp_path):
    edits, base = (shutil.copytree(folder, tmp_path / folder.name) for folder in (edit_model_folder, model_folder))
    before = model_hash(NetworkChoice(model=str(edits)))
    (weights,) = (base / "vae").glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    hashes._folder_hash.cache_clear()
    assert model_hash(NetworkChoice(model=str(edits))) != before


def test_every_branch_is_answered_as_the_network_was_trained(model, edit_model_folder):
    networks = load_networks(edit_model_folder).eval()
    x, source, sigma = drawn(1, 4, 2, 4, 6), drawn(1, 4, 2, 4, 6, seed=1), 1.5
    prompts = {"positive": NIGHT, "negative": "", "uncond": ""}
    texts = {name: model.encode_text([text]) for name, text in prompts.items()}
    answers = model.predictor(texts, {}, {}, VE, source=source)(x, sigma, list(prompts))
    flow, t = flow_state(x, torch.tensor([sigma]), True)
    for (name, prompt), answer in zip(prompts.items(), answers):
        ids, mask = tokenise(model.tokenizer, [prompt], model.preset.max_text_tokens)
        seen = torch.zeros_like(source) if name == "uncond" else source
        with torch.no_grad():
            raw = edit_forward(networks, network_input(flow, t, "flow"), seen, t.flatten(), ids, mask)
        assert torch.allclose(answer, clean_prediction(flow, raw, t, "flow"), atol=1e-4), name
    assert (answers[1] - answers[2]).abs().max() > 1e-3  # the clip counts


def test_an_edit_follows_the_three_terms(model):
    """At one step from pure noise the answer is the sum of the branches' answers."""
    values = {"start": "noise", "steps": 1, "video_scale": 1.4, "cfg": 3.0, "solver": "ddim"}
    seen = {}

    class Watching:
        def __getattr__(self, name):
            return getattr(model, name)

        def predictor(self, *inputs, **source):
            predict = model.predictor(*inputs, **source)

            def watched(x, sigma, branches):
                seen.update(zip(branches, answers := predict(x, sigma, branches)))
                return answers

            return watched

        def decode(self, latent):
            seen["result"] = latent
            return model.decode(latent)

    enhance(clip(), Watching(), edit_settings(NIGHT, model.preset, values))
    u, v, vt = (seen[name] for name in ("uncond", "negative", "positive"))
    expected = u + 1.4 * (v - u) + 3.0 * (vt - v)
    # What is left of the noise is that of the last level.
    assert (seen["result"] - expected).abs().max() < 0.1 < 0.25 < (expected - vt).abs().max()


def test_windows_of_a_long_clip_go_on_from_one_another_along_the_motion(model):
    model = replace(model, preset=replace(model.preset, window=9, overlap=5))
    frames, values = clip(12), {"start": "noise", "steps": 3, "anchor": 0.0}
    result, report = enhance(frames, model, edit_settings(NIGHT, model.preset, values))
    assert result.shape == frames.shape and report.settings["handover"] == "motion"
    assert any("motion was estimated" in note for note in report.notes)
    apart, _ = enhance(frames, model, edit_settings(NIGHT, model.preset, values | {"handover": "none"}))
    assert torch.equal(result[:4], apart[:4]) and not torch.equal(result[9:], apart[9:])
    _, short = enhance(frames[:5], model, edit_settings(NIGHT, model.preset, values))
    assert not any("motion" in note for note in short.notes)


def test_windows_go_on_without_their_motion_where_nothing_estimates_it(monkeypatch):
    monkeypatch.setattr("pipeline_core.job.settings.flow_can_be_estimated", lambda: False)
    fresh, own = Preset(start="noise"), Preset()
    assert edit_settings(NIGHT, fresh, {}).handover == edit_settings(NIGHT, own, {"start": "noise"}).handover == "mean"
    assert edit_settings(NIGHT, fresh, {"handover": "motion"}).handover == "motion"
    assert edit_settings(NIGHT, own, {}).handover == "none"


def test_what_an_edit_cannot_be_made_of_is_a_sentence(model, model_folder, monkeypatch, tmp_path):
    plain = load_video_model(model_folder, precision="fp32")
    with pytest.raises(UserError, match="does not edit by instruction: leave video_scale out"):
        enhance(clip(), plain, edit_settings(NIGHT, plain.preset, {"video_scale": 1.2}))
    with pytest.raises(UserError, match="edits a clip: give its latent as the source"):
        model.predictor({}, {}, {}, VE)
    with pytest.raises(UserError, match="edits none: leave the source out"):
        plain.predictor({}, {}, {}, VE, source=drawn(1, 4, 2, 4, 6))
    with pytest.raises(UserError, match="instruction is empty"):
        edit_settings("  ", plain.preset, {})
    with pytest.raises(UserError, match="no model that edits by instruction"):
        edit_folder(model_folder)
    monkeypatch.setattr(loading, "EMBEDDED_EDIT", tmp_path / "models" / "embedded_edit")
    with pytest.raises(UserError, match=r"\(models/embedded_edit\): a git checkout of this pack has it"):
        edit_folder()


def test_an_edit_model_enhances_too_by_its_presets_own_instruction(model):
    _, report = enhance(clip(), model, replace(EnhanceSettings(), start="noise", steps=2), description="two cars")
    assert report.settings["prompt"] == "make it look real" and report.settings["video_scale"] == 1.0


def test_the_command_edits_a_file(edit_model_folder, tmp_path, capsys):
    source, target, report = tmp_path / "in.mp4", tmp_path / "out.mp4", tmp_path / "report.json"
    with media.VideoWriter(source, 10, (32, 48)) as out:
        for frame in clip(7):
            out.write(frame)
    options = ["-o", target, "--model", edit_model_folder, "--text-scale", "2", "--video-scale", "1.1", "--steps", "2"]
    options += ["--start", "noise"]
    arguments = ["edit", source, NIGHT, *options, "--handover", "mean", "--report", report]
    assert main([str(argument) for argument in arguments]) == 0
    assert media.probe(target).frames == 7
    done = json.loads(report.read_text())["settings"]
    assert (done["prompt"], done["cfg"], done["video_scale"], done["handover"]) == (NIGHT, 2.0, 1.1, "mean")
    assert main(["edit", str(source), "", "-o", str(target), "--model", str(edit_model_folder)]) == 2
    assert "instruction is empty" in capsys.readouterr().err
