"""The released Cosmos 3 layout in small: prompts, latents and every step equal diffusers' own transfer pipeline."""

import json
import shutil
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import pytest
import tiny_cosmos3
import torch
from diffusers import UniPCMultistepScheduler
from euler import euler_walk
from safetensors.torch import load_file, save_file
from tiny_cosmos3 import CHANNELS, FRAMES, RATIO, SIZE

from pipeline_core.__main__ import main
from pipeline_core.diffusion import FLOW, VE, guided, invert, sample
from pipeline_core.diffusion.guidance import CFG, Only
from pipeline_core.edits.pairs import PairSettings, model_pair
from pipeline_core.enhance import enhance
from pipeline_core.errors import UserError
from pipeline_core.job.latent import job_sigmas
from pipeline_core.job.settings import EnhanceSettings, resolve
from pipeline_core.models import load_video_model, read_preset
from pipeline_core.models.folders.layout import is_model_folder
from pipeline_core.models.folders.loading import branch_names, load_part
from pipeline_core.models.folders.memory import plan_memory
from pipeline_core.models.folders.placement import streamed
from pipeline_core.models.folders.precision import bf16_failure
from pipeline_core.models.folders.preset_file import write_preset
from pipeline_core.models.networks.cosmos3 import cosmos3_forward
from pipeline_core.video.media import VideoWriter

PROMPTS = ['{"scene": "a filmed street"}', "a game with <|im_end|> in it"]
RELEASED = {"edge": "edge", "vis": "blur", "depth": "depth", "segmentation": "seg"}
STEPS, GUIDANCE, SEED = 4, 3.0, 7
needs_bf16 = pytest.mark.skipif(
    bf16_failure(torch.device("cpu")) != "", reason="torch does not carry out bfloat16 here"
)


class Euler(UniPCMultistepScheduler):
    """Of order 1 without the corrector: Euler, which any sampler has. Times as they are: diffusers cuts them to whole
    thousandths, and keeps every state it was asked to step to."""

    def set_timesteps(self, *args, **kwargs):
        super().set_timesteps(*args, **kwargs)
        self.timesteps, self.seen = self.sigmas[:-1] * 1000, []

    def step(self, *args, **kwargs):
        answer = super().step(*args, **kwargs)
        self.seen.append(answer[0].squeeze(0))
        return answer


@pytest.fixture(scope="module")
def tiny():
    return tiny_cosmos3.tiny_parts()


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    return tiny_cosmos3.save(tiny, tmp_path_factory.mktemp("models") / "cosmos3")


@pytest.fixture(scope="module")
def model(folder):
    return load_video_model(folder, precision="fp32")


def draw(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def maps(*names):
    return {name: (draw(len(name), FRAMES, *SIZE, 3) / 4 + 0.5).clamp(0, 1) for name in names}


def run_pipeline(tiny, frames, guidance, control):
    """Latents after every step of diffusers' pipeline, and the flow sigmas it walked."""
    euler = Euler.from_config(tiny["scheduler"].config, solver_order=1, disable_corrector=list(range(STEPS)))
    pipe = tiny_cosmos3.transfer_pipeline(tiny, scheduler=euler)
    pipe.set_progress_bar_config(disable=True)
    pipe(
        prompt=PROMPTS[0],
        negative_prompt=PROMPTS[1],
        control_videos={RELEASED[name]: values.permute(0, 3, 1, 2) for name, values in frames.items()},
        height=SIZE[0],
        width=SIZE[1],
        num_inference_steps=STEPS,
        guidance_scale=guidance,
        control_guidance=control,
        generator=torch.Generator().manual_seed(SEED),
        output="videos",
    )
    return pipe.scheduler.seen, pipe.scheduler.sigmas.double()


def walked(model, frames, weights, guidance, interpolant, times):
    texts = dict(zip(("positive", "negative"), model.encode_text(PROMPTS).split(1)))
    hints = {name: model.encode_hint(values) for name, values in frames.items()}
    denoise = guided(model.predictor(texts, hints, weights, interpolant), CFG(guidance))
    noise = draw(SEED, 1, CHANNELS, 3, SIZE[0] // RATIO, SIZE[1] // RATIO)
    return euler_walk(denoise, noise, times, interpolant)


def test_prompts_become_the_pipelines_tokens(tiny, model):
    pipe = tiny_cosmos3.transfer_pipeline(tiny)
    state = pipe(
        prompt=PROMPTS[0],
        negative_prompt=PROMPTS[1],
        control_videos={"edge": maps("edge")["edge"].permute(0, 3, 1, 2)},
        height=SIZE[0],
        width=SIZE[1],
        num_inference_steps=1,
    )
    ours = [ids[ids >= 0].tolist() for ids in model.encode_text(PROMPTS)]
    assert ours == [state.get("cond_input_ids"), state.get("uncond_input_ids")]


@pytest.mark.parametrize("interpolant", [VE, FLOW])
def test_every_step_equals_the_pipelines_with_three_maps_and_both_axes(tiny, model, interpolant):
    frames = maps("segmentation", "vis", "edge")  # in another order than the release's
    wanted, times = run_pipeline(tiny, frames, GUIDANCE, 1.5 * 0.8)
    ours = walked(model, frames, {"vis": 0.1, "edge": 0.5, "segmentation": 0.2}, GUIDANCE, interpolant, times)
    for step, state in enumerate(ours):
        assert (state - wanted[step]).abs().max() < 1e-4 * wanted[step].abs().max(), step
    assert len(wanted) == STEPS and (wanted[-1] - wanted[0]).abs().max() > 0.1


@pytest.mark.parametrize("guidance, control", [(1.0, 1.0), (1.0, 1.5), (GUIDANCE, 1.0)])
def test_either_axis_alone_equals_the_pipelines(tiny, model, guidance, control):
    frames = maps("depth")
    wanted, times = run_pipeline(tiny, frames, guidance, control)
    *_, last = walked(model, frames, {"depth": control / 1.5}, guidance, VE, times)
    assert (last - wanted[-1]).abs().max() < 1e-4 * wanted[-1].abs().max()


def test_each_axis_counts(model):
    """That the comparisons above can fail: every map, the weights' sum and the prompt move the answer."""
    frames = maps("edge", "depth")
    texts = dict(zip(("positive", "negative"), model.encode_text(PROMPTS).split(1)))
    hints = {name: model.encode_hint(values) for name, values in frames.items()}
    x = draw(1, 1, CHANNELS, 3, 4, 6)

    def answer(weights, branch="positive"):
        return model.predictor(texts, hints, weights, FLOW)(x, 0.6, [branch])[0]

    both, half, one, none = (
        answer(w) for w in ({"edge": 0.5, "depth": 0.5}, {"edge": 0.2, "depth": 0.2}, {"edge": 1.0}, {})
    )
    negative = answer({"edge": 0.5, "depth": 0.5}, "negative")
    for one_of, other in ((both, half), (both, one), (one, none), (both, negative)):
        assert (one_of - other).abs().max() > 1e-2


def test_several_latents_are_answered_as_one_by_one(model):
    texts = {"positive": model.encode_text(PROMPTS[:1])}
    hints = {"edge": draw(2, 2, CHANNELS, 3, 4, 6)}
    x = draw(1, 2, CHANNELS, 3, 4, 6)
    together = model.predictor(texts, hints, {"edge": 1.0}, VE)(x, 2.0, ["positive"])[0]
    for place in range(2):
        own = {"edge": hints["edge"][place][None]}
        alone = model.predictor(texts, own, {"edge": 1.0}, VE)(x[place][None], 2.0, ["positive"])[0]
        assert (together[place] - alone[0]).abs().max() < 1e-5


def test_inversion_comes_back(model):
    frames = maps("edge", "depth")
    source = model.encode(frames["edge"])
    hints = {name: model.encode_hint(values) for name, values in frames.items()}
    texts = {"inversion": model.encode_text(PROMPTS[:1])}
    settings = resolve(EnhanceSettings(steps=8), model.preset)
    for interpolant in (VE, FLOW):
        weights = {"edge": 0.5, "depth": 0.5}
        describe = guided(model.predictor(texts, hints, weights, interpolant), Only("inversion"))
        sigmas = job_sigmas(settings, model.preset, interpolant)
        inversion = invert(describe, source, sigmas, interpolant, "exact")
        back = sample(describe, inversion.noise, sigmas, interpolant, x0=source, solver=inversion.solver)
        assert (back - source).abs().max() < 1e-4 * source.abs().max()


def test_the_preset_is_nvidias_recipe(folder):
    preset = read_preset(folder)
    assert (preset.window, preset.steps, preset.cfg, preset.control_guidance) == (121, 35, 3.0, 1.5)
    assert (preset.temporal_ratio, preset.spatial_ratio) == (4, RATIO)
    assert branch_names(folder) == list(RELEASED)
    assert not is_model_folder(folder)  # the nodes that take a model apart know Cosmos-Transfer alone


def test_what_it_cannot_do_is_said(folder, model, tmp_path):
    texts, hints = {"positive": model.encode_text(PROMPTS[:1])}, {"edge": draw(2, 1, CHANNELS, 3, 4, 6)}
    with pytest.raises(UserError, match="no first-block cache here"):
        model.predictor(texts, hints, {"edge": 1.0}, VE, 0.1)
    with pytest.raises(UserError, match="give its weight as a number"):
        model.predictor(texts, hints, {"edge": torch.ones(3, 4, 6)}, VE)
    with pytest.raises(UserError, match="no pose control; it has edge, vis, depth, segmentation"):
        model.predictor(texts, hints, {"pose": 1.0}, VE)
    with pytest.raises(UserError, match=r"A prompt came with \d+ tokens; this model takes 8192"):
        model.encode_text(["street " * 2000])
    with pytest.raises(UserError, match="give a Cosmos-Transfer model"):
        model_pair(SimpleNamespace(model=model), None, None, PairSettings())
    copy = shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(copy / "text_tokenizer")
    with pytest.raises(UserError, match="no text_tokenizer/tokenizer.json"):
        load_video_model(copy)


@pytest.mark.parametrize("stated", [True, False])
def test_files_may_be_without_the_heads_that_nothing_reads_or_with_more(tiny, folder, model, tmp_path, stated):
    """Sound and actions stated and not there, or there and not stated: both are read about Nano."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    config, weights = copy / "transformer" / "config.json", next((copy / "transformer").glob("*.safetensors"))
    if stated:
        more = {"sound_gen": True, "sound_dim": 4, "action_gen": True, "action_dim": 3}
        config.write_text(json.dumps({**json.loads(config.read_text()), **more}))
    else:
        save_file({**load_file(weights), "audio_proj_in.weight": torch.ones(32, 4)}, weights)
    loaded = load_video_model(copy, precision="fp32")
    assert loaded.transformer.state_dict().keys() == model.transformer.state_dict().keys()
    assert "lm_head.weight" not in loaded.transformer.state_dict()


def test_a_streamed_network_answers_the_same(folder, model):
    ids = model.encode_text(PROMPTS[:1])[0]
    hint, x = draw(2, 1, CHANNELS, 3, 4, 6), draw(1, 1, CHANNELS, 3, 4, 6)
    networks = model.transformer, streamed(load_part(folder, "transformer"), torch.device("cpu"))
    with torch.no_grad():
        wanted, found = (cosmos3_forward(each, [hint], x, torch.tensor([0.4]), ids) for each in networks)
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("weights", ["fp32", pytest.param("bf16", marks=needs_bf16)])
def test_the_memory_plan_counts_what_is_loaded(folder, weights):
    plan = plan_memory(folder, read_preset(folder), weights)
    loaded = load_video_model(folder, precision="fp32", weights=weights)
    for part, network in zip(plan.parts, (loaded.transformer, loaded.vae), strict=True):
        assert part.in_memory == sum(p.numel() * p.element_size() for p in network.parameters()), part.name
    assert plan.together == 1


def test_a_weight_of_a_video_autoencoder_is_refused_by_name(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    weights = next((copy / "vae").glob("*.safetensors"))
    shutil.copy(weights, next((copy / "transformer").glob("*.safetensors")))
    with pytest.raises(UserError, match="holds a video autoencoder; a Cosmos3OmniTransformer is needed"):
        load_video_model(copy)


@pytest.mark.parametrize("weights", ["fp32", *(pytest.param(kind, marks=needs_bf16) for kind in ("bf16", "fp8"))])
def test_every_type_of_weights_gives_about_the_same(folder, model, weights):
    loaded = load_video_model(folder, precision="fp32", weights=weights)
    texts, hints = {"positive": model.encode_text(PROMPTS[:1])}, {"edge": draw(2, 1, CHANNELS, 3, 4, 6)}
    x = draw(1, 1, CHANNELS, 3, 4, 6)
    wanted, answer = (
        each.predictor(texts, hints, {"edge": 1.0}, VE)(x, 2.0, ["positive"])[0] for each in (model, loaded)
    )
    assert (answer - wanted).norm() < {"fp32": 1e-6, "bf16": 0.03, "fp8": 0.3}[weights] * wanted.norm()


def test_the_class_is_given_what_its_pipeline_packs(tiny, model):
    """Positions, indexes and shapes themselves, for a frame rate of 24 and for more than one map."""
    pipe = tiny_cosmos3.transfer_pipeline(tiny)
    seen, forward = [], tiny["transformer"].forward
    try:
        for run in ("theirs", "ours"):
            tiny["transformer"].forward = lambda **inputs: seen.append(inputs) or forward(**inputs)
            if run == "theirs":
                frames = {name: values.permute(0, 3, 1, 2) for name, values in maps("edge", "depth").items()}
                size = {"height": SIZE[0], "width": SIZE[1], "num_inference_steps": 1, "guidance_scale": 1.0}
                pipe(prompt=PROMPTS[0], control_videos=frames, **size)
            else:
                latents = draw(1, 3, CHANNELS, 3, 4, 6).split(1)
                ids = model.encode_text(PROMPTS[:1])[0]
                cosmos3_forward(tiny["transformer"], latents[:2], latents[2], torch.tensor([0.5]), ids)
    finally:
        del tiny["transformer"].forward
    theirs, ours = seen
    assert set(ours) == set(theirs)
    for name in ("input_ids", "text_indexes", "position_ids", "vision_sequence_indexes", "vision_mse_loss_indexes"):
        torch.testing.assert_close(ours[name], theirs[name], check_dtype=False, rtol=1e-6, atol=0)
    for name in ("und_len", "sequence_length", "vision_token_shapes"):
        assert ours[name] == theirs[name]
    for one, other in zip(ours["vision_noisy_frame_indexes"], theirs["vision_noisy_frame_indexes"], strict=True):
        assert torch.equal(one, other)
    assert ours["vision_timesteps"].shape == theirs["vision_timesteps"].shape


@pytest.mark.parametrize(
    "settings",
    [
        {"start": "calibration"},
        {"start": "flowedit"},
        {"start": "sdedit", "handover": "mean", "controls": {"vis": 1.0, "edge": 0.5}},
        {"start": "inversion", "steps": 16, "handover": "fused"},
    ],
    ids=lambda settings: settings["start"],
)
def test_the_job_takes_it_with_every_kind_of_start(model, settings):
    small = replace(model, preset=replace(model.preset, size=SIZE, window=9, overlap=5))
    frames = draw(3, 13, *SIZE, 3).sigmoid()
    result, report = enhance(frames, small, EnhanceSettings(**{"steps": 4, "strength": 0.5, **settings}))
    assert result.shape == frames.shape and result.isfinite().all()
    assert sum(report.plan["controls"].values()) == pytest.approx(1.0)


def test_the_command_line_takes_the_folder(folder, tmp_path, capsys):
    copy, clip, report = tmp_path / "small", tmp_path / "clip.mp4", tmp_path / "report.json"
    shutil.copytree(folder, copy)
    write_preset(replace(read_preset(folder), size=SIZE, window=9, overlap=5), copy)
    with VideoWriter(clip, Fraction(24), SIZE) as out:
        for frame in draw(3, 13, *SIZE, 3).sigmoid():
            out.write(frame)
    options = ["--model", copy, "--weights", "fp32", "--precision", "fp32", "--controls", "edge=1", "--report", report]
    assert main([str(word) for word in ("enhance", clip, "-o", tmp_path / "out.mp4", *options, "--steps", "16")]) == 0
    assert "transformer" in capsys.readouterr().out.splitlines()[1]
    told = json.loads(report.read_text())
    assert told["plan"]["windows"] == [[0, 9], [4, 13]] and told["settings"]["start"] == "inversion"
    assert any("each control map whole" in note for note in told["notes"])
