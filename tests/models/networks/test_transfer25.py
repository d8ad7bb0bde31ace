"""The released Transfer2.5 layout in small: text, latents and every step equal diffusers' own pipeline."""

import json
import shutil
from dataclasses import replace
from fractions import Fraction

import pytest
import tiny_transfer25
import torch
from euler import euler_walk
from rounding import roundings
from tiny_transfer25 import CHANNELS, FRAMES, SIZE

from pipeline_core.__main__ import main
from pipeline_core.diffusion import FLOW, VE, guided, invert, sample
from pipeline_core.diffusion.guidance import CFG, Only
from pipeline_core.enhance import enhance
from pipeline_core.errors import UserError
from pipeline_core.job.latent import job_sigmas
from pipeline_core.job.settings import EnhanceSettings, resolve
from pipeline_core.models import load_video_model, read_preset
from pipeline_core.models.folders.layout import branch_parts
from pipeline_core.models.folders.precision import bf16_failure
from pipeline_core.models.folders.preset_file import write_preset
from pipeline_core.models.networks.text import CHAT
from pipeline_core.video.media import VideoWriter

PROMPTS = ["a filmed street", "a game with <|im_end|> in it"]
WEIGHTS = {"edge": 0.7, "depth": 0.25, "segmentation": 1.0}
STEPS, GUIDANCE = 6, 3.0


@pytest.fixture(scope="module")
def tiny():
    return tiny_transfer25.tiny_parts()


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    return tiny_transfer25.save(*tiny, tmp_path_factory.mktemp("models") / "transfer25")


@pytest.fixture(scope="module")
def model(folder):
    return load_video_model(folder, precision="fp32")


def draw(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def maps():
    height, width = SIZE
    return {name: (draw(seed, FRAMES, height, width, 3) / 4 + 0.5).clamp(0, 1) for seed, name in enumerate(WEIGHTS)}


def run_pipeline(tiny, control, noise, **changes):
    """Latents after every step of diffusers' pipeline, and the flow sigmas it walked."""
    parts, _ = tiny
    pipe, seen = tiny_transfer25.pipeline(parts, control, **changes), []

    def keep(_pipe, _index, _time, values):
        seen.append(values["latents"].clone())
        return {}

    frames = next(iter(maps().values()))
    pipe(
        controls=frames.permute(0, 3, 1, 2)[None],
        prompt=PROMPTS[0],
        negative_prompt=PROMPTS[1],
        height=SIZE[0],
        width=SIZE[1],
        num_frames_per_chunk=FRAMES,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        latents=noise,
        output_type="latent",
        callback_on_step_end=keep,
    )
    return seen, pipe.scheduler.sigmas.double()


def test_prompts_are_embedded_as_the_pipeline_does(tiny, model):
    pipe = tiny_transfer25.pipeline(tiny[0])
    wanted = pipe._get_prompt_embeds(["", *PROMPTS])
    assert roundings(model.encode_text(["", *PROMPTS]), wanted) < 64
    told = [{"role": "system", "content": [{"text": CHAT.split("\n")[1].removesuffix("<|im_end|>")}]}]
    told.append({"role": "user", "content": [{"text": "a street"}]})
    assert tiny[0]["tokenizer"].apply_chat_template(told, tokenize=False) == CHAT.format("a street")


@pytest.mark.parametrize("interpolant", [VE, FLOW])
def test_every_step_equals_the_pipelines_with_three_controls(tiny, model, monkeypatch, interpolant):
    tiny_transfer25.stand_in_torchvision(monkeypatch)
    parts, branches = tiny
    hints = {name: model.encode_hint(values) for name, values in maps().items()}
    names = {"edge": "edge", "depth": "depth", "segmentation": "seg"}
    control = tiny_transfer25.Sum(
        [branches[names[name]] for name in WEIGHTS], [hints[name] for name in WEIGHTS], list(WEIGHTS.values())
    )
    # Order 1 without the corrector is Euler, which any sampler has.
    euler = parts["scheduler"].from_config(
        parts["scheduler"].config, solver_order=1, disable_corrector=list(range(STEPS))
    )
    noise = draw(9, 1, CHANNELS, 3, SIZE[0] // 8, SIZE[1] // 8)
    wanted, times = run_pipeline(tiny, control, noise, scheduler=euler)

    texts = dict(zip(("positive", "negative"), model.encode_text(PROMPTS).split(1)))
    denoise = guided(model.predictor(texts, hints, WEIGHTS, interpolant), CFG(1 + GUIDANCE))
    for step, state in enumerate(euler_walk(denoise, noise, times, interpolant)):
        assert (state - wanted[step]).abs().max() < 1e-4 * wanted[step].abs().max(), step
    assert (wanted[-1] - wanted[0]).abs().max() > 0.1


def test_one_branch_and_its_own_vae_equal_the_pipelines(tiny, model, monkeypatch):
    """The hint is the pipeline's own: its VAE's latent of the frames, normalised."""
    tiny_transfer25.stand_in_torchvision(monkeypatch)
    parts, branches = tiny
    noise = draw(9, 1, CHANNELS, 3, SIZE[0] // 8, SIZE[1] // 8)
    euler = parts["scheduler"].from_config(
        parts["scheduler"].config, solver_order=1, disable_corrector=list(range(STEPS))
    )
    wanted, times = run_pipeline(tiny, branches["edge"], noise, scheduler=euler)
    texts = dict(zip(("positive", "negative"), model.encode_text(PROMPTS).split(1)))
    hints = {"edge": model.encode_hint(next(iter(maps().values())))}
    denoise = guided(model.predictor(texts, hints, {"edge": 1.0}, FLOW), CFG(1 + GUIDANCE))
    *_, last = euler_walk(denoise, noise, times, FLOW)
    assert (last - wanted[-1]).abs().max() < 1e-4 * wanted[-1].abs().max()


def test_the_preset_is_the_releases(tiny, folder, model):
    preset = read_preset(folder)
    assert (preset.window, preset.temporal_ratio, preset.cfg) == (93, 4, 1 + 3.0)
    assert branch_parts(folder) == {
        "depth": "controlnet_depth", "edge": "controlnet_edge", "segmentation": "controlnet_seg"
    }  # fmt: skip
    scheduler = tiny[0]["scheduler"]
    scheduler.set_timesteps(36)
    sigmas = job_sigmas(resolve(EnhanceSettings(), preset), preset, FLOW)
    torch.testing.assert_close(sigmas.float(), scheduler.sigmas[:-1], atol=2e-6, rtol=0)


def test_inversion_comes_back(model):
    source = model.encode(maps()["edge"])
    hints = {name: model.encode_hint(values) for name, values in maps().items()}
    texts = {"inversion": model.encode_text(PROMPTS[:1])}
    settings = resolve(EnhanceSettings(steps=8), model.preset)
    for interpolant in (VE, FLOW):
        describe = guided(model.predictor(texts, hints, WEIGHTS, interpolant), Only("inversion"))
        sigmas = job_sigmas(settings, model.preset, interpolant)
        inversion = invert(describe, source, sigmas, interpolant, "exact")
        back = sample(describe, inversion.noise, sigmas, interpolant, x0=source, solver=inversion.solver)
        assert (back - source).abs().max() < 1e-4 * source.abs().max()


def test_a_pipeline_saved_with_its_one_branch_has_that_control(tiny, tmp_path):
    parts, branches = tiny
    tiny_transfer25.pipeline(parts, branches["edge"]).save_pretrained(tmp_path)
    assert branch_parts(tmp_path) == {"control": "controlnet"}
    assert set(load_video_model(tmp_path, precision="fp32").branches) == {"control"}


def test_a_broken_branch_beside_the_index_is_named(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    config = copy / "controlnet_seg" / "config.json"
    values = json.loads(config.read_text())
    config.write_text(json.dumps({**values, "_class_name": "FluxControlNetModel"}))
    with pytest.raises(UserError, match="controlnet_seg is a FluxControlNetModel; a CosmosControlNetModel is needed"):
        load_video_model(copy)


def small(folder, target, **changes):
    """A copy of the folder whose preset is the released one at the tiny size."""
    copy = shutil.copytree(folder, target)
    write_preset(replace(read_preset(folder), size=SIZE, **changes), copy)
    return copy


def test_long_clips_go_through_in_the_releases_windows(folder, tmp_path):
    model = load_video_model(small(folder, tmp_path / "small"), precision="fp32")
    frames = draw(3, 101, *SIZE, 3).sigmoid()
    settings = EnhanceSettings(start="sdedit", strength=0.5, steps=4, controls={"edge": 1.0}, cfg=2.0)
    result, report = enhance(frames, model, settings)
    assert report.plan["windows"] == [[0, 93], [8, 101]] and result.shape == frames.shape
    assert result.isfinite().all() and float((result - frames).abs().mean()) > 0.01


@pytest.mark.skipif(bf16_failure(torch.device("cpu")) != "", reason="torch does not carry out bfloat16 here")
def test_the_command_line_tells_the_plan_first_and_takes_the_settings(folder, tmp_path, capsys):
    copy, clip, report = small(folder, tmp_path / "small"), tmp_path / "clip.mp4", tmp_path / "report.json"
    with VideoWriter(clip, Fraction(24), SIZE) as out:
        for frame in draw(3, 9, *SIZE, 3).sigmoid():
            out.write(frame)
    saving = ["--cfg-range", "0", "5", "--inversion-steps", "12", "--cache", "0.2", "--cfg", "3", "--steps", "16"]
    options = ["--model", copy, "--weights", "fp8", "--controls", "edge=1", "--report", report, *saving]
    assert main([str(word) for word in ("enhance", clip, "-o", tmp_path / "out.mp4", *options)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["memory", "plan", "in", "files", "fp8"]
    assert lines[8].startswith("All parts stay on cpu; a step needs about")
    settings = json.loads(report.read_text())["settings"]
    assert (settings["cfg_range"], settings["inversion_steps"], settings["cache"]) == ([0.0, 5.0], 12, 0.2)
