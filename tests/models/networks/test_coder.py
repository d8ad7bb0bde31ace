"""A VAE by tiles: what it codes cell by cell is the same, what it holds is one tile, and it is tried in this order."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.vae import DecoderOutput
from pretend_device import NAME, PretendDevice

from pipeline_core.models.networks.coder import Coder
from pipeline_core.models.plan.networks import Studio

RATIO = 8
CPU, CARD = torch.device("cpu"), f"{NAME}:0"


class Cells(torch.nn.Module):
    """A VAE whose cells know their own pixels alone: means, and frames of them. most: pixels of a side it can hold."""

    def __init__(self, most=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.config = {"latents_mean": [0.1, 0.2, 0.3], "latents_std": [0.5, 1.0, 2.0]}
        self.most, self.sides = most, []

    def encode(self, frames):
        self._hold(frames.shape[-2:])
        mode = F.avg_pool3d(frames, (1, RATIO, RATIO))
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: mode))

    def decode(self, latent):
        self._hold([side * RATIO for side in latent.shape[-2:]])
        return DecoderOutput(F.interpolate(latent, scale_factor=(1, RATIO, RATIO)))

    def _hold(self, size):
        self.sides.append(max(size))
        if self.most and max(size) > self.most:
            raise torch.OutOfMemoryError("out of memory")


def clip(height, width, seed=0):
    return torch.rand(1, 2, height, width, 3, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(600, 320), (264, 904)])
@pytest.mark.parametrize("most, sides", [(512, (512,)), (256, (512, 256))])
def test_tiles_code_what_the_whole_codes_where_cells_know_their_own_pixels(size, most, sides):
    frames = clip(*size)
    whole, tiled = Coder(Cells(), RATIO, CPU), Coder(Cells(most), RATIO, CPU)
    latent = whole.encode(frames)
    with pytest.warns(UserWarning, match="coded by tiles of") as said:
        assert (tiled.encode(frames) - latent).abs().max() < 1e-6
    for warning, side in zip(said, sides, strict=True):
        assert f"tiles of {side} pixels" in str(warning.message)
    tiled.vae.sides.clear()
    assert (tiled.decode(latent) - whole.decode(latent)).abs().max() < 1e-6
    assert set(tiled.vae.sides) == {sides[-1]}  # from there on by tiles at once
    assert tiled.decode(latent).shape == frames.shape


def test_frames_no_larger_than_a_tile_are_one_tile():
    tiled, frames = Coder(Cells(), RATIO, CPU), clip(96, 160)
    tiled.side = 512
    assert torch.equal(tiled.encode(frames), Coder(Cells(), RATIO, CPU).encode(frames))


@pytest.mark.parametrize(
    "size, tries", [((400, 320), [400, 256]), ((512, 96), [512, 256]), ((520, 96), [520, 512, 256])]
)
def test_a_tile_that_would_not_cut_a_clip_is_not_tried(size, tries):
    tiled, frames = Coder(Cells(256), RATIO, CPU), clip(*size)
    with pytest.warns(UserWarning, match="coded by tiles of") as said:
        latent = tiled.encode(frames)
    assert list(dict.fromkeys(tiled.vae.sides)) == tries and len(said) == len(tries) - 1
    assert (latent - Coder(Cells(), RATIO, CPU).encode(frames)).abs().max() < 1e-6
    tiled.side = 512  # from a larger clip before
    with pytest.warns(UserWarning, match="coded by tiles of 256"):
        tiled.encode(frames)


def test_a_clip_that_no_tile_cuts_is_the_devices_own_error_at_once():
    tiled = Coder(Cells(96), RATIO, CPU)
    with pytest.raises(torch.OutOfMemoryError):
        tiled.encode(clip(256, 128))
    assert tiled.vae.sides == [256] and tiled.side == 0


def test_what_the_smallest_tile_cannot_is_the_devices_own_error():
    with pytest.warns(UserWarning, match="by tiles"), pytest.raises(torch.OutOfMemoryError):
        Coder(Cells(128), RATIO, CPU).encode(clip(600, 320))


@pytest.mark.parametrize("way", ["encode", "decode"])
def test_of_a_clip_in_tiles_the_card_holds_the_latent_and_one_tile(way):
    """Traced for a card: the full Wan VAE, on frames of one tile and of four times as many pixels."""
    with PretendDevice():
        pass  # torch knows the name of such a card from here on
    studio = Studio(CARD)
    vae = studio.network("wan21_vae", torch.float32)

    def peak(height, width, side):
        tiled = Coder(vae, RATIO, torch.device(CARD))
        tiled.side = side
        if way == "decode":
            given = studio.empty(1, 16, 2, height // RATIO, width // RATIO)
        else:
            with studio.mode:
                given = torch.empty(1, 5, height, width, 3)  # in main memory
        with studio.traced() as tracker:
            done = getattr(tiled, way)(given)
        assert done.device.type == ("cpu" if way == "decode" and side else NAME)
        return tracker.peak

    one = peak(256, 256, 256)
    latent = 4 * 16 * 2 * (512 // RATIO) ** 2
    assert one <= peak(512, 512, 256) <= one + 4 * latent  # nine tiles
    assert peak(512, 512, 0) > 3 * one
