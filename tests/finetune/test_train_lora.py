"""LoRAs of all three kinds of folder: they begin as nothing, learn a clip, survive a kill, and diffusers reads them."""

import json
import shutil
import signal

import pytest
import torch
from made_clips import make_clip, pictures
from safetensors.torch import save_file
from tiny_transfer25 import save, tiny_parts
from tiny_wan import save_wan

from pipeline_core.__main__ import main
from pipeline_core.errors import UserError
from pipeline_core.finetune import errors
from pipeline_core.finetune import train as training
from pipeline_core.finetune.checkpoint import read_state
from pipeline_core.finetune.clips import read_clips
from pipeline_core.finetune.networks import answer, clip_preset, training_preset
from pipeline_core.finetune.samples import Samples, cut_clips
from pipeline_core.models.folders.layout import TRAINABLE
from pipeline_core.models.folders.loading import load_part, load_video_model
from pipeline_core.models.folders.lora import NAME, PREFIX, Lora, add_lora, merge_loras
from pipeline_core.video.files import only_run

pytest.importorskip("peft", reason="peft is not installed: no LoRA can be trained")
KINDS = ("embedded", "transfer25", "wan")
FRAMES, SIZE = 5, (32, 48)
SMALL = ["--frames", "5", "--size", "32x48", "--precision", "fp32"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory, model_folder):
    """A tiny folder of each kind."""
    from transformers import PreTrainedTokenizerFast

    top = tmp_path_factory.mktemp("kinds")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(model_folder / "tokenizer")
    return {
        "embedded": model_folder,
        "transfer25": save(*tiny_parts(branches=()), top / "transfer25"),
        "wan": save_wan(top / "wan", tokenizer),
    }


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Hugging Face's layout with a caption beside one clip: 7 and 11 frames, so 1 and 2 windows of 5."""
    folder = tmp_path_factory.mktemp("clips")
    for name, frames in (("short", 7), ("long", 11)):
        make_clip(folder / f"{name}.mp4", pictures(frames, *SIZE).astype("uint8"))
    (folder / "metadata.jsonl").write_text(json.dumps({"file_name": "long.mp4", "text": "a street  by night"}) + "\n")
    (folder / "short.txt").write_text("a street\n")
    return folder


@pytest.fixture(scope="module")
def one_clip(tmp_path_factory, clips):
    folder = tmp_path_factory.mktemp("one")
    shutil.copy(clips / "short.mp4", folder)
    return folder


def test_two_runs_on_one_output_exclude_each_other(model_folder, one_clip, tmp_path, capsys):
    command = ["train-lora", str(one_clip), "--model", str(model_folder), "-o", str(tmp_path / "look"), *SMALL]
    command += ["--caption", "a street", "--steps", "1", "--rank", "2"]
    with only_run(tmp_path / "look" / "training", "-o"):
        assert main(command) == 2
        assert "Another run is writing to" in capsys.readouterr().err
        assert not (tmp_path / "look" / "training" / "latents").exists()
    assert main(command) == 0


def inputs(kind, network):
    generator = torch.Generator().manual_seed(1)
    width = network.config.text_dim if kind == "wan" else network.config.crossattn_proj_in_channels
    if kind == "embedded":
        width = network.config.text_embed_dim
    channels = network.config.out_channels
    x = torch.randn(1, channels, 2, 4, 6, generator=generator)
    return x, torch.tensor([0.4]), torch.randn(1, 8, width, generator=generator)


@pytest.mark.parametrize("kind", KINDS)
def test_a_lora_begins_as_nothing(kind, folders):
    network = load_part(folders[kind], "transformer", classes=TRAINABLE)
    shown = inputs(kind, network)
    before = answer(network, *shown)
    weights = add_lora(network, 3, 0)
    assert torch.equal(answer(network, *shown), before)
    assert {name for name, p in network.named_parameters() if p.requires_grad} == set(weights)
    attentions = 2 * len(network.blocks if kind == "wan" else network.transformer_blocks)
    assert len(weights) == 2 * 4 * attentions  # A and B of q, k, v and out


@pytest.mark.parametrize("kind", KINDS)
def test_one_clip_is_learnt_and_diffusers_reads_the_weights(kind, folders, one_clip, tmp_path, capsys):
    command = ["train-lora", str(one_clip), "--model", str(folders[kind]), "-o", str(tmp_path / "look"), *SMALL]
    assert main([*command, "--caption", "a street", "--steps", "6", "--rank", "2", "--rate", "0.02"]) == 0
    said = capsys.readouterr().out
    assert "1 clips in 1 windows of 5 frames at 32x48; 2 frames at the clips' ends are in none" in said
    assert "memory plan: training" in said
    about = json.loads((tmp_path / "look" / "training.json").read_text())
    assert about["loss_after"] < about["loss_before"] and about["steps"] == 6
    base, theirs, ours = (load_part(folders[kind], "transformer", classes=TRAINABLE) for _ in range(3))
    theirs.load_lora_adapter(str(tmp_path / "look"), weight_name=NAME)  # diffusers' own prefix is the default
    merge_loras(ours, [Lora(tmp_path / "look" / NAME, 1.0)])
    shown = inputs(kind, base)
    plain, read, merged = (answer(network, *shown) for network in (base, theirs, ours))
    assert not torch.allclose(plain, read, atol=1e-3)
    assert torch.allclose(read, merged, atol=1e-4)
    assert {type(module) for module in ours.modules()} == {type(module) for module in base.modules()}


def test_diffusers_pipeline_reads_a_wan_lora_of_either_name(folders, tmp_path):
    from diffusers import WanPipeline

    from pipeline_core.models.folders.lora import COMFYUI_NAME, lora_tensors, save_lora

    network = load_part(folders["wan"], "transformer", classes=TRAINABLE)
    for weight in add_lora(network, 2, 0).values():
        weight.data.normal_(generator=torch.Generator().manual_seed(weight.numel()))
    save_lora(lora_tensors(network), 2, tmp_path, wan=True)
    shown = inputs("wan", network)
    expected = answer(network, *shown)
    for name in (NAME, COMFYUI_NAME):  # diffusers knows Wan's native names too, which ComfyUI's loader goes by
        theirs = load_part(folders["wan"], "transformer", classes=TRAINABLE)
        WanPipeline(None, None, None, None, theirs).load_lora_weights(str(tmp_path), weight_name=name)
        assert torch.allclose(answer(theirs, *shown), expected, atol=1e-4), name


def opened(folder, clips, model, **changes):
    preset = clip_preset(training_preset(model), FRAMES, SIZE)
    windows, _ = cut_clips(read_clips(clips), preset)
    folder.mkdir(exist_ok=True)
    samples = Samples(windows, folder)
    samples.prepare(model, preset, torch.device("cpu"), torch.float32, False, lambda done, total: None)
    config = training.LoraConfig("model", "clips", preset.prediction, rank=2, rate=0.01, batch=2, **changes)
    return training.open_run(folder, config, load_part(model, "transformer"), samples, torch.device("cpu"))


def test_a_killed_run_ends_as_one_that_was_not(tmp_path, clips, model_folder):
    class Killed(BaseException):
        pass

    def kill(done, total):
        if done == 3:
            raise Killed

    whole = opened(tmp_path / "whole", clips, model_folder)
    assert training.train(whole, 4)
    with pytest.raises(Killed):
        training.train(opened(tmp_path / "cut", clips, model_folder), 4, progress=kill, checkpoint_seconds=0)
    saved = tmp_path / "cut" / "checkpoint.safetensors"
    assert read_state(tmp_path / "cut")["step"] == 3
    resumed = opened(tmp_path / "cut", clips, model_folder)
    before = saved.read_bytes()
    assert training.train(resumed, 4) and saved.read_bytes() != before
    for name, weight in whole.weights.items():
        assert torch.equal(weight, resumed.weights[name]), name
        assert torch.equal(
            whole.optimizer.state[weight]["exp_avg_sq"], resumed.optimizer.state[resumed.weights[name]]["exp_avg_sq"]
        )
    with pytest.raises(UserError, match="trained with seed 0, and now seed is 1: give another -o"):
        opened(tmp_path / "cut", clips, model_folder, seed=1)


def test_latents_are_encoded_once_and_are_the_model_s_own(tmp_path, clips, model_folder):
    run = opened(tmp_path, clips, model_folder)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "latents").iterdir()}
    again = opened(tmp_path, clips, model_folder)
    assert len(again.samples) == len(files) == 3
    assert {path: path.stat().st_mtime_ns for path in files} == files
    model = load_video_model(model_folder, precision="fp32")
    window = run.samples.windows[1]  # of long.mp4, its frames 5 to 9
    assert (window.facts.path.name, window.start, window.caption) == ("long.mp4", 5, "a street by night")
    from pipeline_core.video.facts import frames_of

    frames = torch.stack(list(frames_of(window.facts)))[5:10].float() / 255
    latent, text = run.samples[1]
    assert torch.allclose(latent, model.encode(frames), atol=2e-3)  # kept in half precision
    assert torch.equal(text, model.encode_text(["a street by night"]))


def test_the_loss_is_that_of_rectified_flow(tmp_path, clips, model_folder, monkeypatch):
    run = opened(tmp_path, clips, model_folder)
    x0, text = run.samples[0]
    noise, t = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0)), torch.tensor(0.3)
    # The straight line's velocity, from the state alone: (x_t - x0) / t = e - x0.
    monkeypatch.setattr(errors, "answer", lambda network, x, times, text: (x - x0) / times)
    assert run.config.prediction == "flow"
    assert run.denoiser.error(x0, text, t, noise) < 1e-10
    monkeypatch.setattr(errors, "answer", lambda network, x, times, text: torch.zeros_like(x))
    assert torch.isclose(run.denoiser.error(x0, text, t, noise), (noise - x0).square().mean())


def test_ctrl_c_ends_after_the_step(folders, one_clip, tmp_path, monkeypatch, capsys):
    step = training._step

    def interrupted(run):
        if run.step == 1:
            signal.raise_signal(signal.SIGINT)
        return step(run)

    monkeypatch.setattr(training, "_step", interrupted)
    command = ["train-lora", str(one_clip), "--model", str(folders["embedded"]), "-o", str(tmp_path / "look"), *SMALL]
    command += ["--caption", "", "--rank", "1"]
    assert main([*command, "--steps", "5"]) == 130
    assert "2 of 5 steps are kept, and the same command goes on from there" in capsys.readouterr().err
    assert read_state(tmp_path / "look" / "training")["step"] == 2 and (tmp_path / "look" / NAME).is_file()
    assert main([*command, "--steps", "3"]) == 0  # the interrupt is at step 1 only
    assert read_state(tmp_path / "look" / "training")["step"] == 3


def test_what_cannot_be_trained_is_one_sentence(folders, clips, one_clip, tmp_path, capsys):
    def refused(*words):
        assert main(["train-lora", *map(str, words), "-o", str(tmp_path / "look"), *SMALL]) == 2
        return capsys.readouterr().err

    assert "short.mp4 has no caption: give it a line with its text in metadata.jsonl, or a short.txt" in refused(
        one_clip
    )
    assert "holds no clip" in refused(folders["wan"] / "vae")
    assert "--rank is 0" in refused(clips, "--rank", "0")
    (tmp_path / "bad").mkdir()
    shutil.copy(clips / "long.mp4", tmp_path / "bad")
    for line, reason in (
        ('{"file_name": "other.mp4", "text": "a"}', "names 'other.mp4', which is not there"),
        ('{"file_name": "long.mp4"}', "line 1, has no file_name or no text"),
        ("{", "is not valid JSON"),
    ):
        (tmp_path / "bad" / "metadata.jsonl").write_text(line)
        assert reason in refused(tmp_path / "bad")
    assert not (tmp_path / "look").exists()


def test_a_lora_of_another_network_is_one_sentence(folders, tmp_path):
    network = load_part(folders["embedded"], "transformer")
    name = "transformer_blocks.0.attn1.to_q.lora_{}.weight"
    width = network.transformer_blocks[0].attn1.to_q.weight.shape[1]
    right = {PREFIX + name.format("A"): torch.zeros(2, width), PREFIX + name.format("B"): torch.zeros(width, 2)}
    for tensors, reason in (
        ({**right, PREFIX + name.format("A"): torch.zeros(2, width + 1)}, "does not fit this model"),
        ({key: t for key, t in right.items() if "lora_A" in key}, "without its other half"),
        ({key.replace("blocks.0", "blocks.9"): t for key, t in right.items()}, "does not fit this model"),
        ({"lora_unet_x.alpha": torch.zeros(1)}, "is no LoRA in diffusers' layout"),
        ({key: t + float("nan") for key, t in right.items()}, "NaN or Inf"),
    ):
        save_file(tensors, str(tmp_path / NAME))
        with pytest.raises(UserError, match=reason):
            merge_loras(network, [Lora(tmp_path / NAME)])
    save_file(right, str(tmp_path / NAME))
    merge_loras(network, [Lora(tmp_path / NAME), Lora(tmp_path / NAME, 0.5)])  # two at once
    assert all(".lora_" not in name for name, _ in network.named_parameters())


def test_enhance_takes_loras(folders, one_clip, tmp_path, capsys):
    network = load_part(folders["embedded"], "transformer")
    add_lora(network, 1, 0)
    from pipeline_core.models.folders.lora import lora_tensors, save_lora

    tensors = lora_tensors(network)
    save_lora(tensors, 1, tmp_path, wan=False)
    strong = {name: tensor + 0.3 for name, tensor in tensors.items()}
    (tmp_path / "strong").mkdir()
    save_lora(strong, 1, tmp_path / "strong", wan=False)
    results = {}
    for name, loras in (
        ("none", ()),
        ("zero", (tmp_path,)),
        ("off", (f"{tmp_path / 'strong'}:0",)),
        ("on", (tmp_path / "strong",)),
    ):
        words = [word for lora in loras for word in ("--lora", str(lora))]
        target = tmp_path / f"{name}.mp4"
        quick = ["--model", str(folders["embedded"]), "--steps", "2", "--method", "euler", "--precision", "fp32"]
        assert main(["enhance", str(one_clip / "short.mp4"), "-o", str(target), *quick, *words]) == 0
        results[name] = target.read_bytes()
    assert results["none"] == results["zero"] == results["off"] != results["on"]
    assert "has the weight 0." in capsys.readouterr().out
    wrong = ["--lora", str(tmp_path / "nowhere:0.5")]
    assert main(["enhance", str(one_clip / "short.mp4"), "-o", str(target), *quick, *wrong]) == 2
    assert "nowhere does not exist: give a LoRA's folder" in capsys.readouterr().err


def test_comfyui_s_names(tmp_path):
    """Wan's are those of the released file's list; a folder's network is `transformer` inside this pack's MODEL."""
    from pipeline_core.models.folders.lora import comfyui_name
    from pipeline_core.models.released.tensor_lists import read_release

    released = read_release("wan21_vace_1_3b").shapes
    for attention in ("attn1", "attn2"):
        for product in ("to_q", "to_k", "to_v", "to_out.0"):
            name = comfyui_name(f"{PREFIX}blocks.7.{attention}.{product}.lora_A.weight", wan=True)
            assert name.removeprefix("diffusion_model.").replace(".lora_A", "") in released
    assert (
        comfyui_name(f"{PREFIX}a.to_q.lora_B.weight", wan=False) == "diffusion_model.transformer.a.to_q.lora_B.weight"
    )
