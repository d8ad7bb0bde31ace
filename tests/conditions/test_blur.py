"""Oracles: what the filters must do to flat, striped and stepped frames, a bilateral filter written pixel by pixel, and
the same steps done by other libraries: the releases' own calls of OpenCV where it is installed."""

import numpy as np
import pytest
import torch
from PIL import Image
from rounding import roundings
from scipy.ndimage import convolve1d
from skimage.restoration import denoise_bilateral

from pipeline_core.conditions.bilateral import bilateral
from pipeline_core.conditions.blur import BLUR_STRENGTHS, TRANSFER1_BLUR, TRANSFER25_BLUR, blur_map
from pipeline_core.errors import UserError
from pipeline_core.video.frames import area_resize


def noise(height=64, width=96, frames=1, seed=0):
    return torch.rand(frames, height, width, 3, generator=torch.Generator().manual_seed(seed))


def test_bilateral_is_the_stated_formula():
    frame = noise(9, 12)
    made = bilateral(frame, 7, 40.0, 2.0)[0].numpy() * 255
    levels = np.pad((frame[0].numpy() * 255).round().astype(float), ((3, 3), (3, 3), (0, 0)), mode="reflect")
    for y, x in ((0, 0), (4, 5), (8, 11), (2, 10)):
        centre, total, weights = levels[y + 3, x + 3], np.zeros(3), 0.0
        for dy in range(-3, 4):
            for dx in range(-3, 4):
                if dy**2 + dx**2 <= 9:
                    near = levels[y + 3 + dy, x + 3 + dx]
                    w = np.exp(-(np.abs(near - centre).sum() ** 2) / 3200 - (dy**2 + dx**2) / 8)
                    total, weights = total + w * near, weights + w
        assert np.abs(made[y, x] - total / weights).max() <= 0.5 + 1e-3


def test_a_bilateral_filter_needs_a_picture_larger_than_its_radius():
    with pytest.raises(UserError, match="16 pixels"):
        bilateral(noise(10, 32), 30, 150.0, 100.0)


def test_the_area_resize_keeps_means_and_is_the_integral():
    frames = noise(12, 20, frames=2)
    blocks = frames.reshape(2, 4, 3, 5, 4, 3).mean((2, 4))
    assert torch.allclose(area_resize(frames, (4, 5)), blocks, atol=1e-6)
    ramp = torch.arange(7.0)[None, None, :, None].expand(1, 1, 7, 3) / 10
    edges = np.linspace(0, 7, 4)  # of three pixels over seven: the integral of the steps under each
    steps = np.concatenate([[0], np.arange(7).cumsum()])
    integral = np.interp(edges, range(8), steps)
    made = area_resize(ramp, (1, 3))[0, 0, :, 0].numpy()
    assert np.allclose(made, np.diff(integral) / (7 / 3) / 10, atol=1e-6)
    assert torch.allclose(area_resize(frames, (24, 40))[:, ::2, ::2], frames, atol=1e-6)


def released(cv2, image, blur):
    """The releases' preparation of a frame (H, W, 3) uint8 (control_input.py), by OpenCV and torch's uint8 resize."""
    height, width = image.shape[:2]
    if blur.shrink > 1:
        image = cv2.resize(image, (width // blur.shrink, height // blur.shrink), interpolation=cv2.INTER_AREA)
    if blur.sigma_colour is None:
        image = cv2.GaussianBlur(image, (blur.diameter, blur.diameter), blur.sigma_space)
    else:
        image = cv2.bilateralFilter(image, blur.diameter, blur.sigma_colour, blur.sigma_space)
    if blur.shrink > 1:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    planes = torch.from_numpy(image).permute(2, 0, 1)[None]
    if blur.factor > 1:
        for size in ((int(height / blur.factor), int(width / blur.factor)), (height, width)):
            planes = torch.nn.functional.interpolate(planes, size=size, mode="bicubic", antialias=True)
    return planes[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("strength", BLUR_STRENGTHS)
@pytest.mark.parametrize("table", [TRANSFER1_BLUR, TRANSFER25_BLUR], ids=["transfer1", "transfer25"])
def test_the_blur_is_the_releases_own(table, strength):
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(2)
    coarse = rng.integers(0, 256, (14, 20, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (211, 137), interpolation=cv2.INTER_NEAREST)
    image = (0.9 * image + 25 * rng.random(image.shape)).astype(np.uint8)
    made = blur_map(torch.from_numpy(image)[None] / 255, strength, table)[0].numpy() * 255
    error = ((made - released(cv2, image, table[strength])) ** 2).mean()
    assert 10 * np.log10(255**2 / error) > 50


def test_the_gaussian_is_a_convolution():
    frame = (noise(40, 50)[0] * 255).round() / 255
    taps = np.exp(-((np.arange(25) - 12) ** 2) / (2 * 12.5**2))
    expected = frame.numpy()
    for axis in (0, 1):
        expected = convolve1d(expected, taps / taps.sum(), axis, mode="mirror")
    assert np.abs(blur_map(frame[None], "gaussian")[0].numpy() - expected).max() < 0.51 / 255


@pytest.mark.parametrize("preset", ["very_low", "low", "medium", "gaussian"])
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
    assert BLUR_STRENGTHS == tuple(TRANSFER25_BLUR) == ("very_low", "low", "medium", "high", "very_high", "gaussian")
