import math
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from rounding import roundings

from training import vae as vae_training
from training.optimizer import MixedOptimizer, orthogonalise
from training.pixel_weights import SMALL_OBJECTS, pixel_weights
from training.vae_grow import grow_decoder
from training.vae_start import build, start_from_principal_components


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


def test_seeds_are_split(tmp_path):
    for seed in (3, 600_001, 850_000, 900_000):
        (tmp_path / f"scene_{seed:06d}.safetensors").touch()
    assert [f.name for f in vae_training.scene_files(tmp_path)] == ["scene_000003.safetensors"]
    assert [f.name for f in vae_training.scene_files(tmp_path, True)] == ["scene_850000.safetensors"]


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

        def encode(self, videos):
            latents = torch.zeros(len(videos), 1, 1, 1, 1)
            return Namespace(latent_dist=Namespace(mode=lambda: latents))

        def decode(self, latents):
            return Namespace(sample=torch.zeros(1, 3, 2, 8, 8))

    clips = torch.cat([torch.full((1, 3, 2, 8, 8), 0.5), torch.ones(1, 1, 2, 8, 8)], 1)
    clips[:, 3, :, :4] = 9.0  # half of the picture
    loss = vae_training.reconstruction_loss(Constant(), clips, torch.zeros(1, 1, 1, 1, 1))
    assert loss.item() == pytest.approx(math.log(0.25 * 5 * 3 + 1e-3), rel=1e-5)


def write_scene(folder, seed):
    from safetensors.torch import save_file

    def noise(*shape):
        return torch.randint(256, shape, generator=generator(seed), dtype=torch.uint8)

    clips = {n: noise(5, 64, 64, 3) for n in ("rgb.synthetic", "rgb.photoreal.day", "segmentation")}
    maps = {n: noise(5, 64, 64) for n in ("edge", "depth")}
    save_file(clips | maps, str(folder / f"scene_{seed:06d}.safetensors"))


def test_training_stops_resumes_and_exports_normalised_latents(tmp_path):
    from diffusers import AutoencoderKLLTXVideo

    from pipeline_core.models.networks.vae import encode_clips

    write_scene(tmp_path, 0)
    write_scene(tmp_path, 850_000)
    torch.manual_seed(0)
    network, entries = build(8), []
    args = Namespace(minutes=1e-3, scenes=tmp_path, out=tmp_path / "vae", every=60, validate=1)
    args.__dict__.update(threads=2, batch=1, seed=0, decoder_only=False)
    vae_training.train(network, tmp_path, args, {"step": 0, "seconds": 0.0}, entries.append)
    steps = entries[-1]["step"]
    assert steps >= 1 and math.isfinite(entries[-1]["psnr"]["synthetic"])
    args.minutes += entries[-1]["seconds"] / 60
    vae_training.train(build(8), tmp_path, args, {"step": 0, "seconds": 0.0}, entries.append)
    assert entries[-1]["step"] > steps  # went on counting

    exported = AutoencoderKLLTXVideo.from_pretrained(str(args.out), torch_dtype=torch.float32)
    clips = vae_training.read_clips(tmp_path / "scene_000000.safetensors")
    renders = torch.stack([c.float() / 255 for n, c in clips.items() if n.startswith("rgb.")])
    latents = encode_clips(exported, renders)
    assert latents.mean().abs() < 0.05
    assert abs(latents.square().mean() - 1) < 0.05

    encoder = {n: p.clone() for n, p in exported.encoder.named_parameters()}
    before = exported.decoder.conv_out.conv.weight.clone()
    args.minutes, args.decoder_only, args.out = 1e-3, True, tmp_path / "refined"
    exported.encoder.requires_grad_(False)
    run = tmp_path / "decoder"
    run.mkdir()
    vae_training.train(exported, run, args, {"step": 0, "seconds": 0.0}, entries.append)
    refined = AutoencoderKLLTXVideo.from_pretrained(str(args.out), torch_dtype=torch.float32)
    assert all(torch.equal(p, encoder[n]) for n, p in refined.encoder.named_parameters())
    torch.testing.assert_close(refined.latents_std, exported.latents_std, rtol=0, atol=0)
    assert not torch.equal(refined.decoder.conv_out.conv.weight, before)


def test_every_clip_gets_a_noise_level_of_its_own(monkeypatch):
    """Levels are uniform from 0 to LATENT_NOISE: of 64 clips the mean is half of it within four standard errors."""
    seen = []
    weight = torch.ones((), requires_grad=True)

    def loss(vae, clips, noise):
        seen.append(noise)
        return weight * 2

    monkeypatch.setattr(vae_training, "reconstruction_loss", loss)
    vae = Namespace(config=Namespace(latent_channels=48))
    halves = [torch.zeros(32, 4, 5, 64, 64)] * 2
    with ThreadPoolExecutor(1) as pool:
        mean, grads = vae_training.gradients(vae, [weight], halves, pool, generator())
    assert (mean, grads[0].item()) == (2, 2)
    levels = torch.cat(seen).flatten(1).std(1)
    assert levels.max() <= 1.02 * vae_training.LATENT_NOISE
    assert levels.std() == pytest.approx(vae_training.LATENT_NOISE / 12**0.5, rel=0.25)
    assert levels.mean() == pytest.approx(vae_training.LATENT_NOISE / 2, rel=4 / 3**0.5 / 8)
