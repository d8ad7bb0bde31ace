"""Branches trained onto the embedded model: before their first step they change nothing, and only they learn."""

import pytest
import torch

from benchmarks.papers import grown
from training.dit import prediction_errors
from training.dit_data import Scene, draw_batch
from training.export import load_networks

LATENT = (48, 2, 4, 4)


@pytest.fixture
def scenes(monkeypatch):
    """A scene of nothing but noise, in the place of the rendered ones."""
    draw = torch.Generator().manual_seed(0)
    names = ["edge", "depth", "segmentation", *(f"{kind}.{style}" for kind in ("rgb", "vis") for style in grown.STYLES)]
    latents = {name: torch.randn(LATENT, generator=draw).half() for name in names}
    tokens = dict.fromkeys(grown.STYLES, torch.tensor([[5, 6, 1, 0]], dtype=torch.int16))
    made = [Scene(1, latents, tokens, torch.ones(LATENT[1:]).half())]
    monkeypatch.setattr(grown, "data", lambda *_: made)
    return made


@pytest.mark.parametrize("grow", [grown.with_blur, grown.deepened])
def test_what_was_not_trained_yet_changes_nothing(grow, scenes):
    own, larger, weights = load_networks(grown.MODEL), grow(), torch.ones(LATENT[0], 1, 1, 1)
    batch = draw_batch(scenes, list(larger.branches), 4, seed=0, step=1)
    assert all(bool(weight.any()) for weight in batch.weights.values())
    with torch.no_grad():
        assert torch.equal(prediction_errors(larger, batch, weights), prediction_errors(own, batch, weights))


def test_a_batch_shows_the_blurred_clip_of_its_own_style(scenes):
    batch = draw_batch(scenes, ["edge", "vis"], 16, seed=0, step=0)
    latents = scenes[0].latents
    styles = [style for x in batch.x0 for style in grown.STYLES if torch.equal(x, latents[f"rgb.{style}"].float())]
    assert len(styles) == 16 and set(styles) == set(grown.STYLES)
    for style, edge, blurred in zip(styles, batch.hints["edge"], batch.hints["vis"], strict=True):
        assert torch.equal(blurred, latents[f"vis.{style}"].float()) and torch.equal(edge, latents["edge"].float())


def test_a_training_changes_the_new_blocks_alone_and_is_done_once(scenes, monkeypatch, tmp_path):
    monkeypatch.setattr(grown, "FOLDER", tmp_path)
    monkeypatch.setattr(grown, "STEPS", 2)
    trained = grown.grown.__wrapped__("deep")
    fresh, own = grown.deepened().branches, load_networks(grown.MODEL).branches
    for name, branch in trained.items():
        state = branch.state_dict()
        assert all(torch.equal(state[key], value) for key, value in own[name].state_dict().items())
        assert any(not torch.equal(state[key], value) for key, value in fresh[name].state_dict().items())
        assert len(branch.control_blocks) > len(own[name].control_blocks)
    monkeypatch.setattr(grown, "train", None)  # would fail
    again = grown.grown.__wrapped__("deep")
    assert all(
        torch.equal(value, again[name].state_dict()[key])
        for name in trained
        for key, value in trained[name].state_dict().items()
    )
