"""Oracles: what the filters must do to flat, striped and stepped frames, and the same steps done by other libraries."""

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.restoration import denoise_bilateral

from pipeline_core.conditions.blur import BLUR_PRESETS, blur_map
from pipeline_core.errors import UserError
from tests.rounding import roundings


def noise(height=64, width=96, frames=1, seed=0):
    return torch.rand(frames, height, width, 3, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("preset", ["very_low", "low", "medium"])
def test_a_flat_frame_stays_and_detail_goes(preset):
    flat = torch.full((2, 64, 96, 3), 0.4)
    made = blur_map(flat, preset)
    assert made.shape == flat.shape and made.dtype == torch.float32
    assert float((made - 0.4).abs().max()) < 1 / 255
    striped = 0.4 + 0.1 * torch.sin(torch.arange(96) * 2.5)[None, None, :, None].expand(1, 64, 96, 3)
    assert float(blur_map(striped, preset)[:, 8:-8, 8:-8].std()) < 0.1 * float(striped.std())


def test_the_resampling_is_antialiased_bicubic_as_in_pillow():
    """A grey ramp with a slow wave: the bilateral filter hardly changes it, so the down-up resampling shows."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(96.0), indexing="ij")
    ramp = (0.2 + x / 300 + 0.05 * torch.sin(y / 12))[None, ..., None].expand(1, 64, 96, 3)
    image = Image.fromarray(ramp[0, ..., 0].numpy(), "F")
    expected = np.asarray(image.resize((24, 16), Image.Resampling.BICUBIC).resize((96, 64), Image.Resampling.BICUBIC))
    made = blur_map(ramp, "very_low")[0, ..., 0].numpy()
    assert np.abs(made - expected)[6:-6, 6:-6].max() < 0.02
    assert np.abs(made - ramp[0, ..., 0].numpy())[6:-6, 6:-6].max() > 1e-4


def test_a_strong_step_survives_the_bilateral_filter():
    """On its own the down-up by 4 leaves a step within some eight pixels; a Gaussian of sigma 50 would not."""
    step = torch.zeros(1, 64, 96, 3)
    step[:, :, 48:] = 1.0
    made = blur_map(step, "very_low")[0, 32, :, 0]
    other = denoise_bilateral(step[0].numpy(), win_size=15, sigma_color=100 / 255, sigma_spatial=50, channel_axis=-1)
    assert float(made[38]) < 0.05 and float(made[58]) > 0.95
    assert abs(float(made[38]) - other[32, 38, 0]) < 0.05 and abs(float(made[58]) - other[32, 58, 0]) < 0.05


def test_stronger_presets_leave_less():
    frames = noise()
    left = [float(blur_map(frames, preset).std()) for preset in ("very_low", "low", "medium")]
    assert left[0] > left[2] and max(left) < 0.3 * float(frames.std())


def test_frames_are_independent_and_bad_input_is_said():
    frames = noise(frames=2, height=32, width=32)
    assert roundings(blur_map(frames, "low")[1:], blur_map(frames[1:], "low")) < 16
    with pytest.raises(UserError, match="too small"):
        blur_map(noise(16, 16), "medium")
    with pytest.raises(UserError, match="unknown"):
        blur_map(frames, "most")
    assert list(BLUR_PRESETS) == ["very_low", "low", "medium", "high", "very_high"]
