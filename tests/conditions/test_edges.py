"""Oracles: OpenCV itself where it is installed, Cannys written from its rules in plain loops, scikit-image's Canny, and
what a mask may not leak."""

import numpy as np
import pytest
import torch
from rounding import share_of_others
from skimage.feature import canny as skimage_canny

from pipeline_core.conditions.canny import hysteresis
from pipeline_core.conditions.edges import CANNY_PRESETS, EDGE_OPERATORS, edge_map
from pipeline_core.errors import UserError


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


def sobel(p):
    """Sobel sums of a picture (H, W, ...) whose border is repeated."""
    p = np.pad(p, [(1, 1), (1, 1)] + [(0, 0)] * (p.ndim - 2), mode="edge")
    gx = (p[:-2, 2:] + 2 * p[1:-1, 2:] + p[2:, 2:]) - (p[:-2, :-2] + 2 * p[1:-1, :-2] + p[2:, :-2])
    gy = (p[2:, :-2] + 2 * p[2:, 1:-1] + p[2:, 2:]) - (p[:-2, :-2] + 2 * p[:-2, 1:-1] + p[:-2, 2:])
    return gx, gy


def canny_in_loops(gx, gy, length, low, high, tangents):
    """Thinning and hysteresis as OpenCV has them; tangents: (|gx|, |gy|) -> lies level, stands upright."""
    height, width = length.shape
    m = np.pad(length, 1)
    keep = np.zeros((height, width), bool)
    for i in range(height):
        for j in range(width):
            v = m[i + 1, j + 1]
            if v <= low:
                continue
            level, upright = tangents(abs(gx[i, j]), abs(gy[i, j]))
            if level:
                keep[i, j] = v > m[i + 1, j] and v >= m[i + 1, j + 2]
            elif upright:
                keep[i, j] = v > m[i, j + 1] and v >= m[i + 2, j + 1]
            else:
                s = -1 if gx[i, j] * gy[i, j] < 0 else 1
                keep[i, j] = v > m[i, j + 1 - s] and v > m[i + 2, j + 1 + s]
    stack = [(i, j) for i, j in zip(*np.nonzero(keep)) if m[i + 1, j + 1] > high]
    edges = np.zeros_like(keep)
    while stack:
        i, j = stack.pop()
        if 0 <= i < height and 0 <= j < width and keep[i, j] and not edges[i, j]:
            edges[i, j] = True
            stack += [(i + di, j + dj) for di in (-1, 0, 1) for dj in (-1, 0, 1)]
    return edges


def opencv_in_loops(image, low, high):
    """cv2.Canny(image, low, high) of (H, W, C) 8-bit levels: of each pixel the first of the longest channels."""
    gx, gy = sobel(image.astype(np.int64))
    length = np.abs(gx) + np.abs(gy)
    best = length.argmax(-1)[..., None]
    gx, gy, length = (np.take_along_axis(each, best, -1)[..., 0] for each in (gx, gy, length))
    return canny_in_loops(
        gx, gy, length, low, high, lambda x, y: (y << 15 < 13573 * x, y << 15 > (13573 + (2 << 15)) * x)
    )


def euclidean_in_loops(grey, low, high):
    """Canny with the Euclidean length on an unrounded grey picture in 0..255."""
    gx, gy = sobel(grey.astype(np.float64))
    steep = np.tan([np.pi / 8, 3 * np.pi / 8])
    return canny_in_loops(gx, gy, np.hypot(gx, gy), low, high, lambda x, y: (y < steep[0] * x, y > steep[1] * x))


def levels(image):
    return np.round(image * 255).astype(np.uint8)


def opencv_grey(image):
    """cv2.cvtColor(image, COLOR_RGB2GRAY) of 8-bit levels: BT.601 in 1/32768."""
    return (image.astype(np.int64) @ [9798, 19235, 3735] + 16384) >> 15


@pytest.mark.parametrize("preset", CANNY_PRESETS)
def test_colour_and_grey_are_opencvs_canny_written_out(preset):
    images = [levels(picture(seed, *size)) for seed, size in enumerate([(48, 64), (37, 53), (5, 61), (33, 4)])]
    images.append(np.random.default_rng(0).integers(0, 256, (31, 45, 3), dtype=np.uint8))
    low, high = (round(255 * value) for value in CANNY_PRESETS[preset])
    found = 0
    for image in images:
        frames = torch.from_numpy(image)[None] / 255
        colour, grey = (
            edge_map(frames, *CANNY_PRESETS[preset], operator=name)[0].numpy() for name in EDGE_OPERATORS[:2]
        )
        assert np.array_equal(colour.astype(bool), opencv_in_loops(image, low, high))
        assert np.array_equal(grey.astype(bool), opencv_in_loops(opencv_grey(image)[..., None], low, high))
        found += int(colour.sum())
    assert found > 500  # or the agreement says nothing


@pytest.mark.parametrize("preset", CANNY_PRESETS)
def test_colour_and_grey_are_opencvs_canny_bit_for_bit(preset):
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(1)
    low, high = (round(255 * value) for value in CANNY_PRESETS[preset])
    for height, width in [(180, 320), (97, 131), (64, 64), (3, 5), (2, 2), (1, 9), (9, 1)]:
        rough = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        for image in (rough, cv2.GaussianBlur(rough, (9, 9), 2), levels(picture(3, height, width))):
            frames = torch.from_numpy(image)[None] / 255
            colour, grey = (
                edge_map(frames, *CANNY_PRESETS[preset], operator=name)[0].numpy() for name in EDGE_OPERATORS[:2]
            )
            assert np.array_equal(255 * colour, cv2.Canny(image, low, high))
            assert np.array_equal(255 * grey, cv2.Canny(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), low, high))


def test_an_edge_between_colours_of_one_brightness_shows_in_colour_only():
    frames = torch.zeros(1, 12, 12, 3)
    frames[:, :, :6, 0], frames[:, :, 6:, 1] = 0.587, 0.299  # red and green of one BT.601 grey
    assert edge_map(frames).sum() == 12
    assert edge_map(frames, operator="grey").sum() == edge_map(frames, operator="grey_l2").sum() == 0


def test_hysteresis_reaches_to_the_end_of_a_long_line():
    """A snake of weak pixels through the frame is kept whole for one strong pixel at its end; its twin is not."""
    kept = torch.zeros(2, 101, 101, dtype=torch.bool)
    kept[:, 1:-1:2, 1:-1] = True
    kept[:, 2:-1:4, -2] = kept[:, 4:-1:4, 1] = True
    places = kept.flatten().nonzero()[:, 0]
    half = len(places) // 2
    assert half == 50 * 99 + 49
    strong = torch.zeros(len(places), dtype=torch.bool)
    strong[-1] = True  # the last pixel of the second frame's snake
    assert torch.equal(hysteresis(places, strong, kept.shape), places[half:])
    assert len(hysteresis(places, torch.zeros_like(strong), kept.shape)) == 0
    assert len(hysteresis(places[:0], strong[:0], kept.shape)) == 0


@pytest.mark.parametrize("preset", CANNY_PRESETS)
def test_the_euclidean_operator_is_canny_with_l2_gradients(preset):
    low, high = CANNY_PRESETS[preset]
    frames = torch.from_numpy(np.stack([picture(seed) for seed in range(3)]))
    edges = edge_map(frames, low, high, operator="grey_l2")
    assert edges.dtype == torch.float32 and set(edges.unique().tolist()) <= {0.0, 1.0}
    greys = 255 * (frames.numpy() @ [0.299, 0.587, 0.114])
    expected = np.stack([euclidean_in_loops(grey, 255 * low, 255 * high) for grey in greys])
    assert expected.sum() > 50  # or the agreement below says nothing
    assert (edges.numpy().astype(bool) != expected).mean() < 0.002


def test_agrees_with_scikit_image():
    """It has the same Sobel sums, but interpolates while thinning, so agreement is within one pixel."""
    image = picture(7, 96, 128)
    grey = image @ np.array([0.299, 0.587, 0.114], np.float32)
    low, high = CANNY_PRESETS["low"]
    theirs = torch.from_numpy(skimage_canny(grey, 0, low, high, mode="nearest"))
    ours = edge_map(torch.from_numpy(image)[None], low, high, operator="grey_l2")[0].bool()
    near = lambda m: torch.nn.functional.max_pool2d(m[None].float(), 3, 1, 1)[0].bool()  # noqa: E731
    precision = (ours & near(theirs)).sum() / ours.sum()
    recall = (theirs & near(ours)).sum() / theirs.sum()
    assert ours.sum() > 100 and precision > 0.97 and recall > 0.97


@pytest.mark.parametrize("operator", EDGE_OPERATORS)
def test_step_edge_is_one_pixel_wide_and_just_at_the_threshold(operator):
    """A step of s has a Sobel sum of 4 s: it is an edge for high < 4 s and none for high > 4 s."""
    frames = torch.zeros(1, 9, 12, 3)
    frames[:, :, 6:] = 0.2
    assert edge_map(frames, 0.1, 0.79, operator=operator).sum() == 9
    assert edge_map(frames, 0.1, 0.81, operator=operator).sum() == 0


@pytest.mark.parametrize("operator", EDGE_OPERATORS)
def test_ignored_pixels_cannot_leak(operator):
    clip = torch.from_numpy(np.stack([picture(seed) for seed in range(2)]))
    mask = torch.zeros(2, 48, 64, dtype=torch.bool)
    mask[0, 10:22, 20:29] = True
    mask[1, 0:9, 50:64] = True
    other = clip.clone()
    other[mask] = torch.rand(int(mask.sum()), 3, generator=torch.Generator().manual_seed(0))
    # The insides do matter without the mask.
    assert not torch.equal(edge_map(clip, operator=operator), edge_map(other, operator=operator))
    blind = edge_map(clip, ignore=mask, operator=operator)
    assert share_of_others(edge_map(other, ignore=mask, operator=operator), blind) < 1e-3
    assert blind[0, 9:23, 19:30].sum() == 0 and blind[1, 0:10, 49:64].sum() == 0
    far = torch.ones_like(mask)
    far[0, 6:26, 16:33] = far[1, 0:13, 46:64] = False
    assert (blind != edge_map(clip, operator=operator))[far].float().mean() < 0.01 and blind.sum() > 50


@pytest.mark.parametrize("operator", EDGE_OPERATORS)
def test_chunks_do_not_show(monkeypatch, operator):
    frames = torch.from_numpy(np.stack([picture(seed) for seed in range(5)]))
    whole = edge_map(frames, operator=operator)
    monkeypatch.setattr("pipeline_core.conditions.edges._CHUNK_PIXELS", 2 * 48 * 64)
    assert share_of_others(edge_map(frames, operator=operator), whole) < 1e-3


def test_bad_input():
    good = torch.zeros(1, 8, 8, 3)
    nan = good.clone()
    nan[0, 0, 0, 0] = torch.nan
    for args in ((good * 0 + 1.5,), (nan,), (good[0],), (good, 0.5, 0.4), (good, 0.0, 0.4)):
        with pytest.raises(UserError):
            edge_map(*args)
    with pytest.raises(UserError, match="operator 'sobel' is unknown: choose one of colour, grey, grey_l2"):
        edge_map(good, operator="sobel")
    with pytest.raises(UserError, match="mask"):
        edge_map(good, ignore=torch.zeros(1, 4, 4, dtype=torch.bool))
