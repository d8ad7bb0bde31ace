"""Oracles: scikit-image for PSNR and SSIM; for MSE_l waves of known frequency and numpy's own low-pass."""

import numpy as np
import pytest
import torch
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from pipeline_core.errors import UserError
from pipeline_core.metrics.fidelity import PSNR, SSIM, LowFrequencyError


def pair(frames=5, height=24, width=31):
    """A smooth clip with flat parts (where SSIM is most delicate) and a disturbed copy."""
    g = torch.Generator().manual_seed(0)
    clip = torch.rand(frames, 3, 4, 4, generator=g)
    clip = torch.nn.functional.interpolate(clip, (height, width), mode="bicubic").permute(0, 2, 3, 1).clamp(0, 1)
    clip[:, :12, :14] = 0.97
    other = (clip * 0.9 + 0.02 + 0.05 * torch.randn(clip.shape, generator=g)).clamp(0, 1)
    other[:, :6, :12] = 0.96
    return other.contiguous(), clip.contiguous()


def run(metric, *clips, chunks=(100,)):
    start = 0
    for size in chunks:
        metric.update(*(c[start : start + size] for c in clips))
        start += size
    return {name: figure.value for name, figure in metric.compute().items()}


def test_psnr_is_scikit_image_s():
    output, clip = pair()
    expected = peak_signal_noise_ratio(clip.numpy(), output.numpy(), data_range=1)
    assert run(PSNR(), output, clip)["psnr"] == pytest.approx(expected, abs=1e-5)
    assert run(PSNR(), clip * 0 + 0.1, clip * 0)["psnr"] == pytest.approx(20, abs=1e-5)


# One block of 16 places, one more than that, and several with a rest, each way.
@pytest.mark.parametrize("size", [(24, 31), (11, 11), (40, 12), (26, 27), (27, 26), (58, 59)])
def test_ssim_is_scikit_image_s(size):
    output, clip = pair(3, *size)
    expected = [
        structural_similarity(
            a.numpy().astype(np.float64), b.numpy().astype(np.float64), data_range=1, channel_axis=-1,
            gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        )
        for a, b in zip(output, clip)
    ]  # fmt: skip
    assert run(SSIM(), output, clip)["ssim"] == pytest.approx(np.mean(expected), abs=1e-5)
    assert run(SSIM(), clip, clip)["ssim"] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("cycles, kept", [((0, 0), 1.0), ((3, 0), 1.0), ((0, 8), 1.0), ((9, 0), 0.0), ((4, 15), 0.0)])
def test_mse_l_keeps_low_waves_and_drops_high_ones(cycles, kept):
    """On 32 x 32 pixels nu = 0.5 keeps up to 8 cycles; a wave of amplitude 0.2 has a mean square of 0.02."""
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    wave = 0.2 * torch.cos(2 * torch.pi * (cycles[0] * y + cycles[1] * x) / 32 + 0.3)
    wave = wave if cycles != (0, 0) else torch.full_like(wave, 0.2 / 2**0.5)
    base = torch.full((2, 32, 32, 3), 0.5)
    assert run(LowFrequencyError(), base + wave[..., None], base)["mse_l"] == pytest.approx(0.02 * kept, abs=1e-8)


def test_mse_l_is_the_error_of_the_low_passed_clips():
    output, clip = pair()
    fy, fx = np.abs(np.fft.fftfreq(24)), np.abs(np.fft.fftfreq(31))
    box = ((fy[:, None] <= 0.25) & (fx[None] <= 0.25))[None, ..., None]
    low = [np.fft.ifft2(box * np.fft.fft2(c.numpy(), axes=(1, 2)), axes=(1, 2)).real for c in (output, clip)]
    assert run(LowFrequencyError(0.5), output, clip)["mse_l"] == pytest.approx(mean_squared_error(*low), rel=1e-5)
    whole = mean_squared_error(output.numpy(), clip.numpy())
    assert run(LowFrequencyError(1.0), output, clip)["mse_l"] == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("metric", [PSNR, SSIM, LowFrequencyError])
def test_streaming_equals_one_piece(metric):
    clips = pair(height=176, width=177)
    assert run(metric(), *clips, chunks=(2, 1, 2)) == pytest.approx(run(metric(), *clips), rel=1e-12)


@pytest.mark.parametrize("metric", [PSNR, SSIM, LowFrequencyError])
def test_bad_input(metric):
    good = torch.zeros(2, 16, 16, 3)
    nan = good.clone()
    nan[1, 2, 3, 0] = torch.nan
    for a, b in ((good, good[:1]), (good, good[:, :8]), (good * 255 + 255, good), (good, good[..., 0])):
        with pytest.raises(UserError):
            metric().update(a, b)
    instance = metric()
    instance.update(good, good + 0.5)
    with pytest.raises(UserError, match="Frame 3 of the output"):
        instance.update(nan, good)
    with pytest.raises(UserError, match="Frame 3 of the reference"):
        instance.update(good, nan)


def test_undefined_is_none_with_a_reason():
    clip = torch.rand(2, 9, 9, 3, generator=torch.Generator().manual_seed(0))
    for metric, text in ((PSNR(), "identical"), (SSIM(), "11")):
        metric.update(clip, clip)
        figure = next(iter(metric.compute().values()))
        assert figure.value is None and text in figure.note
    for metric in (PSNR(), SSIM(), LowFrequencyError()):
        assert all(f.value is None and f.note == "no frames" for f in metric.compute().values())
