"""What the DiT learns: its loss, its draws as a function of (seed, step), its size; learning really happens."""

import pytest
import torch

from pipeline_core.models.networks.prediction import training_target
from training.architecture import build_networks, parameter_counts
from training.dit import ADAM_SHARE, PREDICTION, parameter_groups, prediction_errors, stratified_error
from training.dit_data import Scene, draw_batch
from training.export import load_networks, write_networks
from training.run.learner import Learner

from .conftest import CAPTIONS, TINY

MODALITIES = ["edge", "depth", "segmentation"]


@pytest.fixture
def scenes(tiny_tokenizer):
    """Six scenes whose channels differ in level, 4x2x4x4."""
    from pipeline_core.models.networks.text import tokenise

    level = torch.tensor([2.0, -1.0, 1.5, -2.5]).view(4, 1, 1, 1)
    tokens = {key: tokenise(tiny_tokenizer, texts, 8)[0].to(torch.int16) for key, texts in CAPTIONS.items()}
    made = []
    for seed in range(4, 10):
        generator = torch.Generator().manual_seed(seed)
        names = ["rgb.synthetic", "rgb.photoreal.day", *MODALITIES]
        latents = {name: (level + 0.2 * torch.randn(4, 2, 4, 4, generator=generator)).half() for name in names}
        made.append(Scene(seed, latents, tokens, torch.ones(2, 4, 4).half()))
    return made


def test_training_lowers_the_error_of_the_averaged_weights(scenes):
    networks = build_networks(4, 270, 3, TINY)
    learner = Learner(networks, parameter_groups(networks), 0.08)
    for step in range(60):
        batch = draw_batch(scenes[1:], MODALITIES, 2, 3, step)
        learner.update(prediction_errors(networks, batch, torch.ones(())).mean(), 1 - step / 60)
    error, bins = learner.averaged(6.94, lambda: stratified_error(networks, scenes[:1], torch.ones(())))
    # Predicting nothing has the error |t x0 - (1 - t) e|^2 / n^2, on average over t half of |x0|^2 + 1: here
    # ((4 + 1 + 2.25 + 6.25) / 4 + 0.04 + 1) / 2 = 2.2. Knowing the level of each channel leaves about 0.5.
    assert error < 1.4
    assert len(bins) == 5


def test_fresh_networks_predict_nothing_and_controls_start_silent(scenes):
    networks = build_networks(4, 270, 0, TINY)
    batch = draw_batch(scenes, ["edge", "depth", "segmentation"], 3, 0, 0)
    errors = prediction_errors(networks, batch, torch.ones(()))
    target = training_target(batch.x0, batch.noise, batch.sigma.view(-1, 1, 1, 1, 1), PREDICTION)
    assert torch.allclose(errors, target.square().flatten(1).mean(1))
    assert all(block.after_proj.weight.abs().max() == 0 for block in networks.branches["edge"].control_blocks)
    again = build_networks(4, 270, 0, TINY).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in networks.state_dict().items())


def test_the_error_counts_more_where_the_batch_says_so(scenes):
    """Fresh networks answer zero, so the error is the target's own: weighed by place it is a sum by hand."""
    importance = torch.ones(2, 4, 4).half()
    importance[1, 2, 3] = 12
    marked = [Scene(scene.seed, scene.latents, scene.tokens, importance) for scene in scenes]
    batch = draw_batch(marked, ["edge", "depth", "segmentation"], 3, 0, 0)
    errors = prediction_errors(build_networks(4, 270, 0, TINY), batch, torch.ones(()))
    target = training_target(batch.x0, batch.noise, batch.sigma.view(-1, 1, 1, 1, 1), PREDICTION).square()
    by_hand = target.mean((1, 2, 3, 4)) + 11 * target[:, :, 1, 2, 3].sum(1) / target[0].numel()
    torch.testing.assert_close(errors, by_hand)


def test_shipped_architecture_keeps_to_its_size():
    counts = parameter_counts(build_networks(32, 1024, 0))
    assert counts["transformer"] <= 5_000_000
    # Half precision in the file: what is left of 40 MB is the VAE's.
    assert 2 * sum(counts.values()) < 25_000_000


def test_batches_depend_on_seed_and_step_only(scenes):
    torch.manual_seed(0)
    one = draw_batch(scenes, ["edge", "depth"], 4, 1, 5)
    torch.manual_seed(1)
    two, other = draw_batch(scenes, ["edge", "depth"], 4, 1, 5), draw_batch(scenes, ["edge", "depth"], 4, 1, 6)
    assert torch.equal(one.noise, two.noise)
    assert torch.equal(one.x0, two.x0)
    assert torch.equal(one.ids, two.ids)
    assert not torch.equal(one.noise, other.noise)


def test_control_dropout_and_weights(scenes):
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


def test_the_default_look_is_drawn_more_often(scenes):
    """Scenes with a third render: by day in 65 % of the photoreal draws."""
    looks = []
    for scene in scenes:
        night = {"rgb.photoreal.night": scene.latents["rgb.photoreal.day"] + 1}
        tokens = scene.tokens | {"photoreal.night": scene.tokens["photoreal.day"]}
        looks.append(Scene(scene.seed, scene.latents | night, tokens, scene.importance))
    batch = draw_batch(looks, ["edge"], 4000, 0, 0)
    shares = []
    for key in ("rgb.synthetic", "rgb.photoreal.day", "rgb.photoreal.night"):
        held = torch.stack([scene.latents[key].float() for scene in looks])
        shares.append(float((batch.x0[:, None] == held).flatten(2).all(2).any(1).float().mean()))
    assert shares == pytest.approx([0.35, 0.65 * 0.65, 0.65 * 0.35], abs=0.03)


def test_inner_matrices_take_orthogonal_steps_and_all_else_adams():
    networks = build_networks(4, 270, 0, TINY)
    inner, outer = parameter_groups(networks)
    assert inner["orthogonal"] and not outer["orthogonal"] and (inner["lr_share"], outer["lr_share"]) == (1, ADAM_SHARE)
    names = {id(p): name for name, p in networks.named_parameters()}
    assert {id(p) for p in inner["params"]} | {id(p) for p in outer["params"]} == set(names)
    inside = [names[id(p)] for p in inner["params"]]
    assert all(p.ndim == 2 for p in inner["params"]) and not any(n.startswith("text_encoder") for n in inside)
    # Four projections of two attentions and two of the feed-forward layer a block, before_proj and after_proj besides.
    assert len([n for n in inside if n.startswith("transformer.transformer_blocks.0.")]) == 10


def test_exported_networks_are_read_again(tmp_path, tiny_start):
    import shutil

    shutil.copytree(tiny_start, tmp_path / "model")
    networks = build_networks(4, 270, 9, TINY)
    write_networks(networks, tmp_path / "model", torch.float32)
    again = dict(load_networks(tmp_path / "model").named_parameters())
    assert all(torch.equal(p, again[name]) for name, p in networks.named_parameters())
