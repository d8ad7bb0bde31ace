"""SimDrop in a job: its reference is the model with a LoRA on, answered apart, on some levels, at the same contrast."""

import pytest
import torch

from pipeline_core.__main__ import main
from pipeline_core.batch.networks import load_networks
from pipeline_core.cli.commands import parse
from pipeline_core.cli.enhance_folder import planned
from pipeline_core.diffusion import CFG, VE, SimDrop
from pipeline_core.enhance import enhance
from pipeline_core.job.settings import EnhanceSettings
from pipeline_core.models.folders.loading import load_video_model
from pipeline_core.models.folders.lora import NAME, Lora
from pipeline_core.video import media

QUICK = dict(steps=6, start="sdedit", solver="ddim", strength=0.8)


def test_the_rescaled_push_keeps_the_contrast_of_what_it_pushes():
    draw = torch.Generator().manual_seed(0)
    answers = {name: torch.randn(2, 4, 3, 5, 5, generator=draw) for name in ("positive", "negative", "reference")}
    plain = CFG(2.0).combine(answers, 1.0)

    def std(x):
        return x.flatten(1).std(1, correction=0)

    pushed = SimDrop(CFG(2.0), 0.5, cap=0.3).combine(answers, 1.0)
    assert not torch.allclose(std(pushed), std(plain), rtol=0.01)
    held = SimDrop(CFG(2.0), 0.5, cap=0.3, rescale=1.0).combine(answers, 1.0)
    assert torch.allclose(std(held), std(plain), rtol=1e-5)
    assert torch.allclose(
        held / held.flatten(1).norm(dim=1).view(2, 1, 1, 1, 1),
        pushed / pushed.flatten(1).norm(dim=1).view(2, 1, 1, 1, 1),
    )
    half = SimDrop(CFG(2.0), 0.5, cap=0.3, rescale=0.5).combine(answers, 1.0)
    assert torch.allclose(half, (held + pushed) / 2, atol=1e-5)


@pytest.fixture(scope="module")
def frames():
    return torch.rand(5, 32, 48, 3, generator=torch.Generator().manual_seed(0))


def calls_of(model, frames, **settings):
    """(result, size of the batch at every call of the network, the report's notes)."""
    sizes = []
    handle = model.transformer.transformer_blocks[0].register_forward_hook(
        lambda _, inputs, __: sizes.append(len(inputs[0]))
    )
    result, report = enhance(frames, model, EnhanceSettings(**QUICK, **settings))
    handle.remove()
    return result, sizes, " ".join(report.notes)


def test_the_model_is_the_same_but_for_the_reference(model_folder, loras, frames):
    plain = load_video_model(model_folder, precision="fp32")
    referring = load_video_model(model_folder, precision="fp32", reference=Lora(loras["strong"] / NAME))
    without, sizes, _ = calls_of(plain, frames)
    same, apart, _ = calls_of(referring, frames)
    assert torch.equal(same, without) and apart == sizes and set(sizes) == {1}
    text = plain.encode_text(["a street"])
    texts = {"positive": text, "reference": text}
    x = torch.randn(1, 4, 2, 4, 6, generator=torch.Generator().manual_seed(1))
    names = ["reference", "positive"]
    pairs = [model.predictor(texts, {}, {}, VE)(x, 2.0, names) for model in (plain, referring)]
    assert torch.allclose(pairs[0][1], pairs[1][1], atol=1e-5)
    assert not torch.allclose(pairs[0][0], pairs[1][0], atol=1e-3)
    merged = load_video_model(model_folder, precision="fp32", loras=[Lora(loras["strong"] / NAME)])
    assert torch.allclose(merged.predictor(texts, {}, {}, VE)(x, 2.0, ["positive"])[0], pairs[1][0], atol=1e-4)


def test_a_reference_that_changes_nothing_pushes_nowhere_and_costs_a_pass_of_its_own(model_folder, loras, frames):
    plain = load_video_model(model_folder, precision="fp32")
    without, usual, _ = calls_of(plain, frames)
    zero = load_video_model(model_folder, precision="fp32", reference=Lora(loras["zero"] / NAME))
    result, sizes, notes = calls_of(zero, frames, simdrop=0.5)
    assert torch.allclose(result, without, atol=1e-4) and sizes == 2 * usual
    assert f"a pass of its own: one condition more at {len(usual)} of {len(usual)} steps" in notes
    strong = load_video_model(model_folder, precision="fp32", reference=Lora(loras["strong"] / NAME))
    pushed, _, _ = calls_of(strong, frames, simdrop=0.5)
    assert not torch.allclose(pushed, without, atol=1e-3)


def test_a_range_pushes_between_its_levels_and_a_prompt_rides_in_the_batch(model_folder, frames):
    plain = load_video_model(model_folder, precision="fp32")
    without, usual, _ = calls_of(plain, frames)
    nowhere, sizes, notes = calls_of(plain, frames, simdrop=0.5, simdrop_range=(0.0, 0.0))
    assert torch.equal(nowhere, without) and sizes == usual and f"at 0 of {len(usual)} steps" in notes
    part, some, notes = calls_of(plain, frames, simdrop=0.5, simdrop_range=(1.0, 1e9))
    assert set(some) == {1, 2} and "SimDrop's reference is the inversion prompt" in notes
    assert f"at {some.count(2)} of {len(usual)} steps" in notes and not torch.equal(part, without)


def test_a_reference_without_a_weight_is_one_sentence(tmp_path, loras, capsys):
    words = ["enhance", str(tmp_path / "a.mp4"), "-o", str(tmp_path / "b.mp4"), "--simdrop-reference"]
    (tmp_path / "a.mp4").write_bytes(b"")
    assert main([*words, str(loras["zero"])]) == 2
    assert "--simdrop-reference has no effect without --simdrop" in capsys.readouterr().err
    assert main([*words, str(tmp_path / "nowhere"), "--simdrop", "0.2"]) == 2
    assert "nowhere does not exist" in capsys.readouterr().err


def test_a_folder_of_clips_is_pushed_away_from_the_same_reference(tmp_path, model_folder, loras, frames, capsys):
    clips, out = tmp_path / "in", tmp_path / "out"
    clips.mkdir()
    media.write_clip(clips / "a.mp4", frames, 12)
    folder = ["enhance-folder", str(clips), str(out), "--model", str(model_folder)]
    folder += ["--simdrop-reference", str(loras["strong"])]
    assert main(folder) == 2 and "--simdrop-reference has no effect without --simdrop" in capsys.readouterr().err
    assert main([*folder, "--engine", "comfyui", "--servers", "127.0.0.1:1", "--simdrop", "0.5"]) == 2
    assert "--engine comfyui has no --simdrop-reference" in capsys.readouterr().err and not out.exists()
    plan = planned(parse([*folder, "--simdrop", "0.5", "--precision", "fp32"]))
    single = load_video_model(model_folder, precision="fp32", reference=Lora(loras["strong"] / NAME))
    results = [calls_of(model, frames, simdrop=0.5)[0] for model in (load_networks(plan.choice).model, single)]
    assert torch.equal(*results)
