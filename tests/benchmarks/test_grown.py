"""Branches trained onto the embedded model: before their first step they change nothing, and only they learn."""

import pytest
import torch

from benchmarks.papers import grown
from training.dit import prediction_errors
from training.dit_data import DAY, Scene
from training.export import load_networks

LATENT = (48, 2, 4, 4)


@pytest.fixture
def drawn(monkeypatch):
    """(scenes, latents of their blurred clips) of nothing but noise, in the place of the rendered ones."""
    draw = torch.Generator().manual_seed(0)

    def latent():
        return torch.randn(LATENT, generator=draw).half()

    latents = {name: latent() for name in ("rgb.synthetic", f"rgb.{DAY}", "edge", "depth", "segmentation")}
    tokens = dict.fromkeys(grown.STYLES, torch.tensor([[5, 6, 1, 0]], dtype=torch.int16))
    scenes = [Scene(1, latents, tokens, torch.ones(LATENT[1:]).half())]
    blurred = [{style: latent() for style in grown.STYLES}]
    monkeypatch.setattr(grown, "data", lambda *_: (scenes, blurred))
    return scenes, blurred


@pytest.mark.parametrize("grow", [grown.with_blur, grown.deepened])
def test_what_was_not_trained_yet_changes_nothing(grow, drawn):
    own, larger, weights = load_networks(grown.MODEL), grow(), torch.ones(LATENT[0], 1, 1, 1)
    batch = grown.draw(*drawn, list(larger.branches), step=1)
    with torch.no_grad():
        assert torch.equal(prediction_errors(larger, batch, weights), prediction_errors(own, batch, weights))


def test_every_third_batch_shows_the_blurred_clip_alone(drawn):
    names = ["edge", "vis"]
    alone, beside = (grown.draw(*drawn, names, step).weights for step in (3, 4))
    assert [float(alone[name].mean()) for name in names] == [0, 1]
    assert [float(beside[name].mean()) for name in names] == [0.5, 0.5]


def test_a_training_changes_the_new_blocks_alone_and_is_done_once(drawn, monkeypatch, tmp_path):
    monkeypatch.setattr(grown, "FOLDER", tmp_path)
    monkeypatch.setattr(grown, "STEPS", 2)
    trained = grown.grown.__wrapped__("deep")
    fresh, own = grown.deepened().branches, load_networks(grown.MODEL).branches
    for name, branch in trained.items():
        state, count = branch.state_dict(), len(own[name].control_blocks)
        assert all(torch.equal(state[key], value) for key, value in own[name].state_dict().items())
        moved = [not torch.equal(state[key], value) for key, value in fresh[name].state_dict().items()]
        assert any(moved) and len(branch.control_blocks) > count
    monkeypatch.setattr(grown, "train", None)  # would fail
    again = grown.grown.__wrapped__("deep")
    assert all(
        torch.equal(value, again[name].state_dict()[key])
        for name in trained
        for key, value in trained[name].state_dict().items()
    )
