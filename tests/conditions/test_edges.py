"""Oracles: a Canny written from OpenCV's rules in plain loops, scikit-image's Canny, and what a mask may
not leak."""

import numpy as np
import pytest
import torch
from skimage.feature import canny as skimage_canny

from pipeline_core.conditions.edges import CANNY_PRESETS, edge_map
from pipeline_core.errors import UserError
from tests.rounding import share_of_others


def picture(seed, height=48, width=64):
    """Blobs, bars and slopes: smooth enough for slanting edges, sharp enough for strong ones."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    image = np.zeros((height, width, 3))
    for _ in range(8):
        cy, cx, r = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(3, 14)
        soft = 1 / (1 + np.exp((np.hypot(y - cy, x - cx) - r) / rng.uniform(0.3, 2)))
        image = image * (1 - soft[..., None]) + soft[..., None] * rng.uniform(0, 1, 3)
    return image.astype(np.float32)


def canny_in_loops(grey, low, high):
    """Canny as OpenCV defines it (aperture 3, L2 gradient, replicated border) on a grey picture in 0..255."""
    height, width = grey.shape
    p = np.pad(grey.astype(np.float64), 1, mode="edge")
    gx = (p[:-2, 2:] + 2 * p[1:-1, 2:] + p[2:, 2:]) - (p[:-2, :-2] + 2 * p[1:-1, :-2] + p[2:, :-2])
    gy = (p[2:, :-2] + 2 * p[2:, 1:-1] + p[2:, 2:]) - (p[:-2, :-2] + 2 * p[:-2, 1:-1] + p[:-2, 2:])
    m = np.pad(np.hypot(gx, gy), 1)
    keep = np.zeros((height, width), bool)
    for i in range(height):
        for j in range(width):
            a, b, v = abs(gx[i, j]), abs(gy[i, j]), m[i + 1, j + 1]
            if v <= low:
                continue
            if b < np.tan(np.pi / 8) * a:
                keep[i, j] = v > m[i + 1, j] and v >= m[i + 1, j + 2]
            elif b > np.tan(3 * np.pi / 8) * a:
                keep[i, j] = v > m[i, j + 1] and v >= m[i + 2, j + 1]
            else:
                s = 1 if gx[i, j] * gy[i, j] > 0 else -1
                keep[i, j] = v > m[i, j + 1 - s] and v > m[i + 2, j + 1 + s]
    stack = [(i, j) for i, j in zip(*np.nonzero(keep)) if m[i + 1, j + 1] > high]
    edges = np.zeros_like(keep)
    while stack:
        i, j = stack.pop()
        if 0 <= i < height and 0 <= j < width and keep[i, j] and not edges[i, j]:
            edges[i, j] = True
            stack += [(i + di, j + dj) for di in (-1, 0, 1) for dj in (-1, 0, 1)]
    return edges


@pytest.mark.parametrize("preset", CANNY_PRESETS)
def test_thresholds_mean_what_opencv_means(preset):
    low, high = CANNY_PRESETS[preset]
    frames = torch.from_numpy(np.stack([picture(seed) for seed in range(3)]))
    edges = edge_map(frames, low, high)
    assert edges.dtype == torch.float32 and set(edges.unique().tolist()) <= {0.0, 1.0}
    greys = 255 * (frames.numpy() @ [0.299, 0.587, 0.114])
    expected = np.stack([canny_in_loops(grey, 255 * low, 255 * high) for grey in greys])
    assert expected.sum() > 50  # or the agreement below says nothing
    assert (edges.numpy().astype(bool) != expected).mean() < 0.002


def test_agrees_with_scikit_image():
    """It has the same Sobel sums, but interpolates while thinning, so agreement is within one pixel."""
    image = picture(7, 96, 128)
    grey = image @ np.array([0.299, 0.587, 0.114], np.float32)
    low, high = CANNY_PRESETS["low"]
    theirs = torch.from_numpy(skimage_canny(grey, 0, low, high, mode="nearest"))
    ours = edge_map(torch.from_numpy(image)[None], low, high)[0].bool()
    near = lambda m: torch.nn.functional.max_pool2d(m[None].float(), 3, 1, 1)[0].bool()  # noqa: E731
    precision = (ours & near(theirs)).sum() / ours.sum()
    recall = (theirs & near(ours)).sum() / theirs.sum()
    assert ours.sum() > 100 and precision > 0.97 and recall > 0.97


def test_step_edge_is_one_pixel_wide_and_just_at_the_threshold():
    """A step of s has a Sobel sum of 4 s: it is an edge for high < 4 s and none for high > 4 s."""
    frames = torch.zeros(1, 9, 12, 3)
    frames[:, :, 6:] = 0.2
    assert edge_map(frames, 0.1, 0.79).sum() == 9
    assert edge_map(frames, 0.1, 0.81).sum() == 0


def test_ignored_pixels_cannot_leak():
    clip = torch.from_numpy(np.stack([picture(seed) for seed in range(2)]))
    mask = torch.zeros(2, 48, 64, dtype=torch.bool)
    mask[0, 10:22, 20:29] = True
    mask[1, 0:9, 50:64] = True
    other = clip.clone()
    other[mask] = torch.rand(int(mask.sum()), 3, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(edge_map(clip), edge_map(other))  # the insides do matter without the mask
    blind = edge_map(clip, ignore=mask)
    assert share_of_others(edge_map(other, ignore=mask), blind) < 1e-3
    assert blind[0, 9:23, 19:30].sum() == 0 and blind[1, 0:10, 49:64].sum() == 0
    far = torch.ones_like(mask)
    far[0, 6:26, 16:33] = far[1, 0:13, 46:64] = False
    assert (blind != edge_map(clip))[far].float().mean() < 0.01 and blind.sum() > 50


def test_chunks_do_not_show(monkeypatch):
    frames = torch.from_numpy(np.stack([picture(seed) for seed in range(5)]))
    whole = edge_map(frames)
    monkeypatch.setattr("pipeline_core.conditions.edges._CHUNK_PIXELS", 2 * 48 * 64)
    assert share_of_others(edge_map(frames), whole) < 1e-3


def test_bad_input():
    good = torch.zeros(1, 8, 8, 3)
    nan = good.clone()
    nan[0, 0, 0, 0] = torch.nan
    for args in ((good * 0 + 1.5,), (nan,), (good[0],), (good, 0.5, 0.4), (good, 0.0, 0.4)):
        with pytest.raises(UserError):
            edge_map(*args)
    with pytest.raises(UserError, match="mask"):
        edge_map(good, ignore=torch.zeros(1, 4, 4, dtype=torch.bool))
