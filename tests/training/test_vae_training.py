import math
from argparse import Namespace

import pytest
import torch
from rounding import roundings

from training import vae as vae_training
from training.optimizer import MixedOptimizer, orthogonalise
from training.pixel_weights import SMALL_OBJECTS, pixel_weights
from training.run.learner import Learner
from training.vae_grow import grow_decoder
from training.vae_start import build, start_from_principal_components

from .conftest import tiny_vae, write_frames


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def ramps(count, frames=9, size=32):
    """Moving colour ramps: every block lies in a space of few dimensions, so 48 components lose nothing."""
    t, y, x = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in (frames, size, size)), indexing="ij")
    weights = torch.rand(count, 3, 4, generator=generator()) - 0.5
    return 0.5 * torch.einsum("nck,kthw->ncthw", weights, torch.stack([t, y, x, torch.ones_like(x)]))


@pytest.fixture(scope="module")
def started():
    torch.manual_seed(0)
    network = build()
    start_from_principal_components(network, ramps(12))
    return network.eval()


@torch.no_grad()
def test_the_start_is_a_transform_that_inverts_itself(started):
    videos = ramps(12)
    latents = started.encode(videos).latent_dist.mode()
    error = (started.decode(latents).sample - videos).square().mean() / videos.var()
    assert latents.shape == (12, 48, 3, 4, 4)
    assert error < 1e-2  # a random start gives about 1


@torch.no_grad()
def test_latents_do_not_see_later_frames(started):
    videos = ramps(1)
    changed = videos.clone()
    changed[:, :, 5:] = 0.3
    before, after = (started.encode(v).latent_dist.mode() for v in (videos, changed))
    assert roundings(after[:, :, :2], before[:, :, :2]) < 16
    assert (before[:, :, 2] - after[:, :, 2]).abs().max() > 1e-3


def test_orthogonalise_matches_the_singular_value_decomposition():
    matrix = torch.randn(12, 4, 3, 3, 3, generator=generator())
    u, _, v = torch.linalg.svd(matrix.flatten(1), full_matrices=False)
    mine = orthogonalise(matrix).flatten(1)
    values = torch.linalg.svdvals(mine)
    assert 0.6 < values.min() and values.max() < 1.3
    cosine = (mine * (u @ v)).sum() / (mine.norm() * (u @ v).norm())
    assert cosine > 0.97


def test_plain_group_is_adam():
    mine, theirs = (torch.nn.Parameter(torch.linspace(-1, 1, 5)) for _ in range(2))
    first = MixedOptimizer([{"params": [mine], "lr": 0.1, "orthogonal": False}])
    second = torch.optim.Adam([theirs], lr=0.1, betas=(0.9, 0.99))
    for _ in range(4):
        for p in (mine, theirs):
            p.grad = (p.detach() - 0.3) ** 3
        first.step()
        second.step()
    torch.testing.assert_close(mine, theirs)


def test_a_grown_decoder_answers_as_before_and_can_learn(started):
    latents = torch.randn(1, started.config.latent_channels, 3, 4, 4, generator=generator())
    grown = grow_decoder(started, 2)
    assert (
        grown.config.decoder_layers_per_block == [2, 2, 2] or tuple(grown.config.decoder_layers_per_block) == (2,) * 3
    )
    with torch.no_grad():
        assert roundings(grown.decode(latents).sample, started.decode(latents).sample) < 16
    new = {name for name, _ in grown.named_parameters()} - {name for name, _ in started.named_parameters()}
    grown.decode(latents).sample.square().mean().backward()
    moved = {name for name, p in grown.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert len(new) == 12 and {name for name in new if ".conv2." in name} <= moved
    with pytest.raises(ValueError, match="cannot become 1"):
        grow_decoder(grown, 1)


def test_signs_and_lights_count_more():
    segmentation = torch.zeros(2, 4, 4, 3, dtype=torch.uint8)
    segmentation[:, 0, 0] = torch.tensor([220, 220, 0], dtype=torch.uint8)
    segmentation[1, 2, 3] = torch.tensor([250, 170, 30], dtype=torch.uint8)
    weights = pixel_weights(segmentation)
    expected = torch.ones(1, 2, 4, 4)
    expected[0, :, 0, 0] = SMALL_OBJECTS["traffic sign"]
    expected[0, 1, 2, 3] = SMALL_OBJECTS["traffic light"]
    torch.testing.assert_close(weights, expected, rtol=0, atol=0)


def test_the_loss_is_the_log_of_the_weighted_error():
    class Constant:
        """Decodes everything to grey."""

        encoder = torch.nn.Identity()

        def encode(self, videos):
            latents = torch.zeros(len(videos), 1, 1, 1, 1)
            return Namespace(latent_dist=Namespace(mode=lambda: latents))

        def decode(self, latents):
            return Namespace(sample=torch.zeros(1, 3, 2, 8, 8))

    clips = torch.cat([torch.full((1, 3, 2, 8, 8), 0.5), torch.ones(1, 1, 2, 8, 8)], 1)
    clips[:, 3, :, :4] = 9.0  # half of the picture
    loss = vae_training.reconstruction_loss(Constant(), clips, torch.zeros(1, 1, 1, 1, 1))
    assert loss.item() == pytest.approx(math.log(0.25 * 5 * 3 + 1e-3), rel=1e-5)


def test_measured_latents_are_of_mean_zero_and_mean_square_one(tmp_path, started):
    from pipeline_core.models.networks.vae import encode_clips

    path = write_frames(tmp_path, 0)
    vae_training.measure_latents(started, [path])
    renders = torch.stack([clip.float() / 255 for clip in vae_training.read_renders(path).values()])
    latents = encode_clips(started, renders)
    assert latents.mean().abs() < 0.05
    assert abs(latents.square().mean() - 1) < 0.05


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_encoder_stays_and_the_decoder_learns(tmp_path, frozen):
    network = tiny_vae()
    network.encoder.requires_grad_(not frozen)
    learner = Learner(network, vae_training.parameter_groups(network), 0.01)
    before = {n: p.detach().clone() for n, p in network.named_parameters()}
    crops = vae_training.draw_crop(write_frames(tmp_path, 1), generator(), 0.0)[None]
    losses = []
    for step in range(8):
        noise = vae_training.latent_noise(network, crops, generator(step))
        loss = vae_training.reconstruction_loss(network, crops, noise)
        losses.append(loss.item())
        learner.update(loss, 1.0)
    moved = {n for n, p in network.named_parameters() if not torch.equal(p, before[n])}
    assert losses[-1] < losses[0]
    assert any(n.startswith("decoder.") for n in moved)
    assert any(n.startswith("encoder.") for n in moved) is not frozen


def test_every_clip_gets_a_noise_level_of_its_own():
    """Levels are uniform from 0 to LATENT_NOISE: of 64 clips the mean is half of it within four standard errors."""
    vae = Namespace(config=Namespace(latent_channels=48))
    noise = vae_training.latent_noise(vae, torch.zeros(64, 4, 5, 64, 64), generator())
    levels = noise.flatten(1).std(1)
    assert noise.shape == (64, 48, 2, 8, 8)
    assert levels.max() <= 1.02 * vae_training.LATENT_NOISE
    assert levels.std() == pytest.approx(vae_training.LATENT_NOISE / 12**0.5, rel=0.25)
    assert levels.mean() == pytest.approx(vae_training.LATENT_NOISE / 2, rel=4 / 3**0.5 / 8)
