"""Training: resuming equals not stopping, batches are a function of (seed, step), learning really happens."""

import argparse
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline_core.errors import UserError
from pipeline_core.models.folders.loading import EMBEDDED
from pipeline_core.models.folders.preset_file import read_preset
from pipeline_core.models.networks.prediction import training_target
from training.architecture import ARCHITECTURE, build_networks, parameter_counts
from training.captions_tokenizer import train_tokenizer
from training.dit import ADAM_SHARE, PREDICTION, learning_rate, parameter_groups, prediction_errors, train
from training.dit_data import Scene, draw_batch, load_scenes, split
from training.export import export, load_exported

TINY = {
    "transformer": ARCHITECTURE["transformer"]
    | {"num_attention_heads": 2, "attention_head_dim": 12, "num_layers": 3, "text_embed_dim": 16, "adaln_lora_dim": 8},
    "control": ARCHITECTURE["control"] | {"adaln_lora_dim": 4},
    "text": ARCHITECTURE["text"] | {"d_model": 16, "d_kv": 8, "num_heads": 2, "d_ff": 16, "num_layers": 1},
}
CAPTIONS = {"synthetic": ["a synthetic street", "a game"], "photoreal.day": ["a real street by day"]}


def write_scene(folder, seed, vae="one"):
    generator = torch.Generator().manual_seed(seed)
    names = ["rgb.synthetic", "rgb.photoreal.day", "edge", "depth", "segmentation"]
    level = torch.tensor([2.0, -1.0, 1.5, -2.5]).view(4, 1, 1, 1)
    latents = {name: (level + 0.2 * torch.randn(4, 2, 4, 4, generator=generator)).half() for name in names}
    latents["importance"] = torch.ones(2, 4, 4).half()
    path = folder / f"scene_{seed:06d}.safetensors"
    save_file(latents, path, {"captions": json.dumps(CAPTIONS), "vae": vae})


def tiny_vae():
    """The shipped VAE's class and layout, four channels."""
    from diffusers import AutoencoderKLLTXVideo

    config = json.loads((EMBEDDED / "vae" / "config.json").read_text())
    widths = {"latent_channels": 4, "block_out_channels": [8, 8], "decoder_block_out_channels": [4, 8]}
    torch.manual_seed(0)
    return AutoencoderKLLTXVideo.from_config({**config, **widths})


@pytest.fixture
def data(tmp_path):
    latents = tmp_path / "latents"
    latents.mkdir()
    for seed in range(4, 10):
        write_scene(latents, seed)
    tokenizer = train_tokenizer([text for texts in CAPTIONS.values() for text in texts], 270)
    tokenizer.save_pretrained(tmp_path / "model" / "tokenizer")
    tiny_vae().save_pretrained(tmp_path / "model" / "vae")
    return tmp_path, tokenizer


def arguments(root, run, steps):
    return argparse.Namespace(
        latents=root / "latents", model=root / "model", run=root / run, minutes=None, steps=steps, batch=2, lr=0.08,
        warmup=3, start_from=None, compile=False, clip=1.0, average=0.9, text_length=8, limit=None, seed=3,
        threads=1, save_minutes=60.0, fp32=True, export=False,
    )  # fmt: skip


def test_resuming_equals_not_stopping(data, monkeypatch):
    root, _ = data
    # The schedule must be the same function of the step in both runs; a constant rate is.
    monkeypatch.setattr("training.dit.learning_rate", lambda progress, step, peak, warmup: peak)
    train(arguments(root, "whole", 6), TINY)
    train(arguments(root, "parts", 3), TINY)
    train(arguments(root, "parts", 6), TINY)
    whole, parts = (load_file(root / run / "checkpoint.safetensors") for run in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    different = [name for name in whole if not torch.equal(whole[name], parts[name])]
    assert different == []
    start = build_networks(4, 270, 3, TINY).state_dict()
    assert not torch.equal(whole["model.transformer.proj_out.weight"], start["transformer.proj_out.weight"])


def test_training_lowers_the_error_of_the_averaged_weights(data):
    root, _ = data
    train(arguments(root, "run", 60), TINY)
    lines = [json.loads(line) for line in (root / "run" / "log.jsonl").read_text().splitlines()]
    # Predicting nothing has the error |t x0 - (1 - t) e|^2 / n^2, on average over t half of |x0|^2 + 1: here
    # ((4 + 1 + 2.25 + 6.25) / 4 + 0.04 + 1) / 2 = 2.2. Knowing the level of each channel leaves about 0.5.
    assert lines[-1]["held_out"] < 1.4


def test_fresh_networks_predict_nothing_and_controls_start_silent(data):
    root, tokenizer = data
    networks = build_networks(4, len(tokenizer), 0, TINY)
    scenes = load_scenes(root / "latents", tokenizer, 8)
    batch = draw_batch(scenes, ["edge", "depth", "segmentation"], 3, 0, 0)
    errors = prediction_errors(networks, batch, torch.ones(()), autocast=False)
    target = training_target(batch.x0, batch.noise, batch.sigma.view(-1, 1, 1, 1, 1), PREDICTION)
    assert torch.allclose(errors, target.square().flatten(1).mean(1))
    assert all(block.after_proj.weight.abs().max() == 0 for block in networks.branches["edge"].control_blocks)
    again = build_networks(4, len(tokenizer), 0, TINY).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in networks.state_dict().items())


def test_the_error_counts_more_where_the_batch_says_so(data):
    """Fresh networks answer zero, so the error is the target's own: weighed by place it is a sum by hand."""
    root, tokenizer = data
    scenes = load_scenes(root / "latents", tokenizer, 8)
    importance = torch.ones(2, 4, 4).half()
    importance[1, 2, 3] = 12
    marked = [Scene(scene.seed, scene.latents, scene.tokens, importance) for scene in scenes]
    batch = draw_batch(marked, ["edge", "depth", "segmentation"], 3, 0, 0)
    errors = prediction_errors(build_networks(4, 270, 0, TINY), batch, torch.ones(()), autocast=False)
    target = training_target(batch.x0, batch.noise, batch.sigma.view(-1, 1, 1, 1, 1), PREDICTION).square()
    by_hand = target.mean((1, 2, 3, 4)) + 11 * target[:, :, 1, 2, 3].sum(1) / target[0].numel()
    torch.testing.assert_close(errors, by_hand)


def test_shipped_architecture_keeps_to_its_size():
    counts = parameter_counts(build_networks(32, 1024, 0))
    assert counts["transformer"] <= 5_000_000
    # Half precision in the file: what is left of 40 MB is the VAE's.
    assert 2 * sum(counts.values()) < 25_000_000


def test_batches_depend_on_seed_and_step_only(data):
    root, tokenizer = data
    scenes = load_scenes(root / "latents", tokenizer, 8)
    torch.manual_seed(0)
    one = draw_batch(scenes, ["edge", "depth"], 4, 1, 5)
    torch.manual_seed(1)
    two, other = draw_batch(scenes, ["edge", "depth"], 4, 1, 5), draw_batch(scenes, ["edge", "depth"], 4, 1, 6)
    assert torch.equal(one.noise, two.noise)
    assert torch.equal(one.x0, two.x0)
    assert torch.equal(one.ids, two.ids)
    assert not torch.equal(one.noise, other.noise)


def test_control_dropout_and_weights(data):
    root, tokenizer = data
    scenes = load_scenes(root / "latents", tokenizer, 8)
    batch = draw_batch(scenes, ["edge", "depth", "segmentation"], 4000, 0, 0)
    weights = torch.cat([w.flatten(1) for w in batch.weights.values()], 1)
    assert weights.min() >= 0
    assert weights.sum(1).max() <= 1 + 1e-6
    assert abs((weights.sum(1) == 0).float().mean() - 0.08) < 0.02
    assert 0.6 < (weights > 0).all(1).float().mean() < 0.75
    empty = (batch.mask.sum(1) == 1).float().mean()
    assert abs(empty - 0.1) < 0.02
    synthetic = torch.stack([(scene.latents["rgb.synthetic"].float()) for scene in scenes])
    share = (batch.x0[:, None] == synthetic).flatten(2).all(2).any(1).float().mean()
    assert abs(share - 0.35) < 0.03


def test_the_default_look_is_drawn_more_often(data):
    """Scenes with a third render: by day in 65 % of the photoreal draws."""
    root, tokenizer = data
    scenes = []
    for scene in load_scenes(root / "latents", tokenizer, 8):
        night = {"rgb.photoreal.night": scene.latents["rgb.photoreal.day"] + 1}
        tokens = scene.tokens | {"photoreal.night": scene.tokens["photoreal.day"]}
        scenes.append(Scene(scene.seed, scene.latents | night, tokens, scene.importance))
    batch = draw_batch(scenes, ["edge"], 4000, 0, 0)
    shares = []
    for key in ("rgb.synthetic", "rgb.photoreal.day", "rgb.photoreal.night"):
        held = torch.stack([scene.latents[key].float() for scene in scenes])
        shares.append(float((batch.x0[:, None] == held).flatten(2).all(2).any(1).float().mean()))
    assert shares == pytest.approx([0.35, 0.65 * 0.65, 0.65 * 0.35], abs=0.03)


def test_inner_matrices_take_orthogonal_steps_and_all_else_adams():
    networks = build_networks(4, 270, 0, TINY)
    inner, outer = parameter_groups(networks, 0.1)
    assert inner["orthogonal"] and not outer["orthogonal"] and outer["lr"] == pytest.approx(0.1 * ADAM_SHARE)
    names = {id(p): name for name, p in networks.named_parameters()}
    assert {id(p) for p in inner["params"]} | {id(p) for p in outer["params"]} == set(names)
    inside = [names[id(p)] for p in inner["params"]]
    assert all(p.ndim == 2 for p in inner["params"]) and not any(n.startswith("text_encoder") for n in inside)
    # Four projections of two attentions and two of the feed-forward layer a block, before_proj and after_proj besides.
    assert len([n for n in inside if n.startswith("transformer.transformer_blocks.0.")]) == 10


def test_a_run_can_start_from_an_exported_model(data):
    root, tokenizer = data
    train(arguments(root, "run", 3), TINY)
    export(root / "run" / "checkpoint.safetensors", root / "model", torch.float32)
    assert read_preset(root / "model").prediction == PREDICTION == "edm"
    networks = build_networks(4, len(tokenizer), 9, TINY)
    load_exported(root / "model", networks)
    saved = load_file(root / "run" / "checkpoint.safetensors")
    assert all(torch.equal(p, saved[f"average.{name}"]) for name, p in networks.named_parameters())


def test_held_out_scenes_are_not_trained_on(data):
    root, tokenizer = data
    train_scenes, held = split(load_scenes(root / "latents", tokenizer, 8))
    assert [s.seed for s in held] == [7]
    assert 7 not in {s.seed for s in train_scenes}


def test_mixed_vaes_benchmark_seeds_and_empty_folders_are_refused(data, tmp_path):
    root, tokenizer = data
    write_scene(root / "latents", 10, vae="two")
    with pytest.raises(UserError, match="2 VAEs"):
        load_scenes(root / "latents", tokenizer, 8)
    (root / "latents" / "scene_000010.safetensors").unlink()
    write_scene(root / "latents", 900_003)
    with pytest.raises(UserError, match="benchmark"):
        load_scenes(root / "latents", tokenizer, 8)
    (root / "latents" / "scene_900003.safetensors").unlink()
    old = root / "latents" / "scene_000004.safetensors"
    save_file({"edge": torch.zeros(4, 2, 4, 4)}, old, {"captions": json.dumps(CAPTIONS), "vae": "one"})
    with pytest.raises(UserError, match="run training.latents again"):
        load_scenes(root / "latents", tokenizer, 8)
    with pytest.raises(UserError, match="no scene latents"):
        load_scenes(tmp_path, tokenizer, 8)


def test_learning_rate_warms_up_and_ends_low():
    assert learning_rate(0.0, 0, 1.0, 10) == pytest.approx(0.1)
    assert learning_rate(0.5, 100, 1.0, 10) == pytest.approx(0.51)
    assert learning_rate(1.0, 100, 1.0, 10) == pytest.approx(0.02)
