"""Layers against closed forms: a square on a plain colour, moved, spoilt, and seen through."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline_core.errors import UserError
from pipeline_core.metrics.compare import compare_frames
from pipeline_core.metrics.extras import Extras
from pipeline_core.metrics.layers import Layers, read_alpha

SIZE, FRAMES = (20, 30), 5
PLAIN, INK = torch.tensor([0.1, 0.7, 0.3]), torch.tensor([0.9, 0.2, 0.8])


def square(moved=0):
    alpha = torch.zeros(FRAMES, *SIZE)
    alpha[:, 5:15, 8 + moved : 18 + moved] = 1
    return alpha


def laid(alpha):
    return alpha[..., None] * INK + (1 - alpha[..., None]) * PLAIN


def figures(clip, alpha, chunks=(FRAMES,)):
    metric, done = Layers(), 0
    for length in chunks:
        metric.update(clip[done : done + length], alpha[done : done + length])
        done += length
    return {name: figure.value for name, figure in metric.compute().items()}


def test_a_foreground_on_its_plain_colour_has_no_error():
    for chunks in ((5,), (2, 2, 1)):
        assert figures(laid(square()), square(), chunks) == {"background_spread": 0.0, "alpha_error": 0.0}


def test_a_moved_foreground_errs_by_the_pixels_that_differ():
    wrong = 2 * 3 * 10 / math.prod(SIZE)  # three columns of ten on either side
    assert figures(laid(square(3)), square())["alpha_error"] == pytest.approx(wrong, abs=1e-6)


def test_the_spread_is_the_root_mean_square_of_what_stands_in_the_background():
    clip, alpha = laid(square()), square()
    clip[:, 0, :9] += 0.05  # nine of 500 background pixels are off by .05 in every channel
    expected = math.sqrt(9 * 3 * 0.05**2 / 500)
    assert figures(clip, alpha)["background_spread"] == pytest.approx(expected, rel=1e-4)


def test_a_frame_without_background_says_so():
    metric = Layers()
    metric.update(torch.zeros(1, *SIZE, 3), torch.ones(1, *SIZE))
    assert metric.compute()["alpha_error"].value is None


def test_alpha_is_read_from_pictures_and_reported(tmp_path):
    for frame, plane in enumerate(square().numpy()):
        Image.fromarray((plane * 255).astype(np.uint8), mode="L").save(tmp_path / f"{frame:06d}.png")
    assert torch.equal(read_alpha(tmp_path, 1, 3, SIZE), square()[1:3])
    clip = laid(square())
    report = compare_frames(clip, clip, extras=Extras(("objects",), alpha=tmp_path))
    assert report["figures"]["objects"]["alpha_error"]["value"] == 0.0
    (tmp_path / "000004.png").unlink()
    with pytest.raises(UserError, match="000004.png does not exist"):
        read_alpha(tmp_path, 3, 5, SIZE)
    with pytest.raises(UserError, match="8-bit grey picture of 20x31"):
        read_alpha(tmp_path, 0, 1, (20, 31))
