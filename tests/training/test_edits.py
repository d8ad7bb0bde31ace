"""The edit model's training: equal to its base at the start, exact pairs, resuming; inflation of an image model."""

from dataclasses import replace

import pytest
import torch
from tiny_perception import shaken

from pipeline_core.errors import UserError
from pipeline_core.models.networks.cosmos import cosmos_forward
from pipeline_core.models.networks.text import embed_tokens
from training.edits import data, learning
from training.edits.data import (
    FIRST_SCENES,
    SCENE_EVERY,
    STYLES,
    TRAINING,
    TUNING,
    PairScene,
    PairShard,
    draw,
    pair_shard,
    pool,
)
from training.edits.inflation import inflate
from training.edits.network import edit_forward, edit_networks
from training.perception.fit import Habits, averaged_so_far, fit

CHANNELS, CELLS = 4, (2, 4, 6)


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def shard():
    """Latents in which every look is a number of its own."""
    looks = torch.arange(1.0, len(STYLES) + 1).view(-1, 1, 1, 1, 1)
    return PairShard(looks.expand(-1, CHANNELS, *CELLS).half(), torch.ones(CELLS).half())


def test_at_the_start_it_answers_what_the_base_answers_whatever_the_source(tiny_networks):
    networks = edit_networks(tiny_networks)
    x, time = drawn(2, CHANNELS, *CELLS), torch.tensor([0.3, 0.8])
    ids = torch.tensor([[5, 7, 1, 0], [9, 1, 0, 0]])
    with torch.no_grad():
        text = embed_tokens(tiny_networks.text_encoder, ids, (ids != 0).long())
        base = cosmos_forward(tiny_networks.transformer, [], x, time, text)
        for source in (torch.zeros_like(x), 10 * drawn(*x.shape, seed=1)):
            answer = edit_forward(networks, x, source, time, ids, (ids != 0).long())
            assert torch.allclose(answer, base, atol=1e-5)


def test_the_source_counts_as_soon_as_its_weights_do(tiny_networks):
    networks = shaken(edit_networks(tiny_networks))
    x, time, ids = drawn(1, CHANNELS, *CELLS), torch.tensor([0.5]), torch.tensor([[5, 1]])
    with torch.no_grad():
        answers = [edit_forward(networks, x, s * torch.ones_like(x), time, ids, ids) for s in (0.0, 1.0)]
    assert (answers[0] - answers[1]).abs().max() > 1e-3


def test_batches_are_edits_between_looks_and_drop_what_guidance_needs_dropped(shard, monkeypatch):
    said = []
    monkeypatch.setattr(data, "tokenised", lambda texts: said.extend(texts) or (torch.ones(len(texts), 2),) * 2)
    batch = draw([shard], 2000, torch.Generator().manual_seed(0))
    sources, targets = (values.mean((1, 2, 3, 4)) for values in (batch.source, batch.target))
    assert not (sources == targets).any() and set(targets.tolist()) == set(range(1, len(STYLES) + 1))
    no_source, no_text = sources == 0, torch.tensor([not text for text in said])
    shares = [(no_source & ~no_text), (~no_source & no_text), (no_source & no_text)]
    assert all(abs(float(share.float().mean()) - 0.05) < 0.02 for share in shares)
    for target, text in zip(targets.tolist(), said):
        look = STYLES[int(target) - 1].rpartition(".")[2]
        assert not text or look != "night" or {"night", "nighttime", "daylight"} & set(text.split())


def test_a_batch_is_the_same_for_the_same_draw(shard):
    first, again = (draw([shard], 4, torch.Generator().manual_seed(3)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(vars(first).values(), vars(again).values()))


def test_a_scene_is_encoded_in_every_look_once(tmp_path, monkeypatch):
    shard = pair_shard(tmp_path, TUNING, frames=1, size=(32, 48))
    assert shard.latents.shape == (len(STYLES), 48, 1, 4, 6)
    assert all((a - b).abs().mean() > 0.01 for i, a in enumerate(shard.latents) for b in shard.latents[:i])
    assert shard.importance.shape == (1, 4, 6) and shard.importance.min() >= 1
    monkeypatch.setattr(data, "_encoded", lambda *_: 1 / 0)
    assert torch.equal(pair_shard(tmp_path, TUNING, frames=1, size=(32, 48)).latents, shard.latents)


def test_a_scene_is_made_when_it_is_first_looked_at_and_there_are_more_of_them_by_and_by(shard, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(data, "pair_shard", lambda folder, seed: made.append(seed) or shard)
    scenes = [PairScene(tmp_path, TRAINING + i) for i in range(FIRST_SCENES + 9)]
    assert [len(pool(scenes, step)) - FIRST_SCENES for step in (0, 3 * SCENE_EVERY, 99 * SCENE_EVERY)] == [0, 3, 9]
    draw(pool(scenes, 0), 40, torch.Generator().manual_seed(0))
    assert made and len(made) == len(set(made)) and max(made) < TRAINING + FIRST_SCENES


def test_where_and_in_what_the_error_lies_counts(tiny_networks, shard, tokens):
    """Twice the weight of all is twice the loss; of a channel and place it counts what they are."""
    networks, even = edit_networks(tiny_networks), torch.ones(CHANNELS, 1, 1, 1)
    batch = draw([shard], 2, torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = learning.errors(networks, batch, even)
        parts = [learning.errors(networks, batch, torch.eye(CHANNELS)[i].view(-1, 1, 1, 1)) for i in range(CHANNELS)]
        left = torch.zeros(1, 1, *CELLS)
        left[..., :3] = 2.0
        halves = [learning.errors(networks, replace(batch, importance=part), even) for part in (left, 2 - left)]
    assert torch.allclose(sum(parts), whole, rtol=1e-4)
    assert torch.allclose(sum(halves), 2 * whole, rtol=1e-4) and (halves[0] - halves[1]).abs().min() > 1e-4


@pytest.fixture
def tokens(monkeypatch):
    def tokenised(texts):
        return torch.tensor([[3 + sum(map(ord, text)) % 90, 1] for text in texts]), torch.ones(len(texts), 2).long()

    monkeypatch.setattr(data, "tokenised", tokenised)
    monkeypatch.setattr(learning, "tokenised", tokenised)


@pytest.fixture
def task(tiny_networks, shard, tokens, monkeypatch):
    """The edit model's own, for tiny networks."""
    monkeypatch.setattr(learning, "build", lambda: edit_networks(tiny_networks).requires_grad_(True))
    monkeypatch.setattr(learning, "decoder_energy", lambda vae, latent: torch.ones(latent.shape[1]))
    return replace(learning.edit_task(shard, None), batch=2, compile=lambda model: None)


def test_a_stopped_run_ends_at_the_same_weights(task, shard, tmp_path):
    habits = Habits(every=4)
    straight = fit(task, tmp_path / "straight", [shard], [shard], 4, habits=habits)
    asked = iter([False, True])
    fit(task, tmp_path / "stopped", [shard], [shard], 4, stop=lambda: next(asked), habits=habits)
    resumed = fit(task, tmp_path / "stopped", [shard], [shard], 4, habits=habits)
    assert all(torch.equal(a, b) for a, b in zip(straight.state_dict().values(), resumed.state_dict().values()))
    assert any((a - b).abs().max() > 0 for a, b in zip(straight.parameters(), task.build().parameters()))
    assert (tmp_path / "straight" / "log.jsonl").read_text() == (tmp_path / "stopped" / "log.jsonl").read_text()


def test_learning_lowers_the_error_of_a_pair(task, shard, tmp_path):
    before = task.figures(task.build().eval(), [shard])
    learnt = fit(replace(task, rate=2e-2), tmp_path, [shard], [shard], 30, habits=Habits(every=99))
    after = task.figures(learnt, [shard])
    assert after["error"] < 0.9 * before["error"]
    so_far = averaged_so_far(task, tmp_path)
    assert task.figures(so_far, [shard]) == after


def test_there_is_nothing_to_export_before_the_first_checkpoint(task, tmp_path):
    with pytest.raises(UserError, match="no run yet"):
        averaged_so_far(task, tmp_path)


@pytest.fixture(scope="module")
def unet():
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    sizes = dict(block_out_channels=(8, 16), norm_num_groups=4, cross_attention_dim=8, attention_head_dim=2)
    down, up = ("CrossAttnDownBlock2D", "DownBlock2D"), ("UpBlock2D", "CrossAttnUpBlock2D")
    return shaken(UNet2DConditionModel(down_block_types=down, up_block_types=up, layers_per_block=1, **sizes)).eval()


def test_an_inflated_image_model_makes_of_every_frame_what_the_image_model_makes(unet):
    clip, source, text = drawn(1, 4, 3, 8, 8), drawn(1, 4, 3, 8, 8, seed=1), drawn(1, 5, 8, seed=2)
    texts = text.expand(3, -1, -1)
    with torch.no_grad():
        frames = [unet(clip[:, :, t], 300, text).sample for t in range(3)]
        video = inflate(unet, 8).eval()
        assert torch.allclose(video(clip, 300, texts).sample, torch.stack(frames, 2), atol=1e-4)
        edit = inflate(unet, 8, source_channels=4).eval()
        assert edit.config.in_channels == 8
        answer = edit(torch.cat([clip, source], 1), 300, texts).sample
        assert torch.allclose(answer, torch.stack(frames, 2), atol=1e-4)
        other = shaken(edit)(torch.cat([clip, source], 1), 300, texts).sample
        turned = edit(torch.cat([clip, source], 1).flip(2), 300, texts).sample.flip(2)
    assert (other - turned).abs().max() > 1e-4  # with weights that count, frames see each other
