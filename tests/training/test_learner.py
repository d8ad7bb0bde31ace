"""The running averages against their closed form, and the scenes on disk against their bound."""

import pytest
import torch

from pipeline_core.errors import UserError
from pipeline_core.world import make_scene
from training.run.cache import SceneCache
from training.run.learner import EXPONENTS, Learner

from .conftest import tiny_vae, write_frames


class Walk(torch.nn.Module):
    """One weight, moved by hand."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([0.0]))


def test_averages_weigh_steps_by_their_power():
    """After n steps step i counts i^g in a power-function average: of weights w_i = i that has the mean
    sum i^(g+1) / sum i^g in the limit of many steps (Karras et al. 2024, eq. 121)."""
    walk = Walk()
    learner = Learner(walk, [{"params": [walk.weight], "orthogonal": False, "lr_share": 1.0}], 0.0)
    n = 2000
    for step in range(1, n + 1):
        walk.weight.data.fill_(step)
        learner.update((walk.weight * 0).sum(), 1.0)
    for exponent in EXPONENTS:
        mean = learner.averaged(exponent, lambda: walk.weight.item())
        expected = sum(i ** (exponent + 1) for i in range(1, n + 1)) / sum(i**exponent for i in range(1, n + 1))
        assert mean == pytest.approx(expected, rel=2e-3)
    assert walk.weight.item() == n  # and is itself again
    learner.begin_from(2.0)
    assert walk.weight.item() == pytest.approx(n * 3 / 4, rel=2e-3)


@pytest.fixture
def cache(tmp_path, tiny_tokenizer):
    return SceneCache(tmp_path, "1", "embedded", tiny_vae(), tiny_tokenizer, 8)


def files(cache, name):
    return sorted(int(path.stem.split("_")[1]) for path in (cache.folder / name).iterdir())


def test_only_scenes_that_can_be_drawn_stay_on_disk(cache, monkeypatch):
    monkeypatch.setattr("training.run.cache.FRAMES_KEPT", 2)
    for seed in (3, 4, 5, 6, 7, 800_001):
        write_frames(cache.folder / "frames", seed)
        cache.latents(seed)
    (cache.folder / "frames" / ".scene_000004.safetensors.0badcafe.part").touch()  # left by a kill
    cache.trim(range(4, 7))
    assert files(cache, "frames") == [5, 6, 800_001]
    assert files(cache, "latents") == [4, 5, 6, 800_001]


def test_scenes_of_another_world_operator_or_encoder_are_made_anew(cache, monkeypatch):
    rendered = []

    def render(seed, path, world, maps):
        rendered.append((seed, world, maps))
        write_frames(path.parent, seed, world, maps)

    monkeypatch.setattr("training.run.cache.render_scene", render)
    first = cache.scene(5)
    assert first.latents["edge"].shape == (4, 2, 8, 8) and first.importance.shape == (2, 8, 8)
    cache.scene(5)
    assert rendered == [(5, 1, "embedded")]
    vae = tiny_vae()
    torch.nn.init.normal_(vae.encoder.conv_in.conv.weight)
    cache.use_encoder(vae)
    assert not torch.equal(cache.scene(5).latents["edge"], first.latents["edge"])
    assert len(rendered) == 1  # the frames were still good
    write_frames(cache.folder / "frames", 5, maps="another")
    cache.frames(5)
    write_frames(cache.folder / "frames", 5, world=2)
    cache.frames(5)
    assert len(rendered) == 3


def test_a_world_that_is_not_there_is_refused():
    with pytest.raises((UserError, ValueError), match="99"):
        make_scene(0, version=99)
