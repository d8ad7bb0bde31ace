"""Oracles: scipy's dilation on the same edges, shifts within and beyond the tolerance, blank pictures."""

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation

from pipeline_core.conditions.edges import edge_map
from pipeline_core.metrics.structure import EdgeF1


def boxes(seed, frames=4, height=40, width=56):
    rng = np.random.default_rng(seed)
    clip = torch.zeros(frames, height, width, 3)
    for t in range(frames):
        for _ in range(4):
            y, x = rng.integers(2, height - 14), rng.integers(2, width - 16)
            clip[t, y : y + 11, x : x + 13] = torch.tensor(rng.uniform(0, 1, 3), dtype=torch.float32)
    return clip


def run(output, source, chunks=(100,)):
    metric, start = EdgeF1(), 0
    for size in chunks:
        metric.update(output[start : start + size], source[start : start + size])
        start += size
    return metric.compute()


def test_it_is_the_stated_definition():
    output, source = boxes(0), (boxes(0) + boxes(1)).clamp(0, 1)
    a, b = (edge_map(clip, operator="grey_l2").numpy().astype(bool) for clip in (output, source))
    near = lambda e: np.stack([binary_dilation(x, np.ones((3, 3), bool)) for x in e])  # noqa: E731
    precision, recall = (a & near(b)).sum() / a.sum(), (b & near(a)).sum() / b.sum()
    figures = run(output, source)
    assert 0.2 < recall < 0.9
    assert figures["edge_precision"].value == pytest.approx(precision)
    assert figures["edge_recall"].value == pytest.approx(recall)
    assert figures["edge_f1"].value == pytest.approx(2 * precision * recall / (precision + recall))


def test_identical_and_shifted():
    clip = boxes(2)
    assert run(clip, clip)["edge_f1"].value == 1
    assert run(clip.roll(1, 2), clip)["edge_f1"].value > 0.99
    assert run(clip.roll(4, 2), clip)["edge_f1"].value < 0.7


def test_streaming_equals_one_piece():
    a, b = boxes(3), boxes(4)
    assert run(a, b, (1, 2, 1)) == run(a, b)


def test_blank_pictures():
    blank = torch.zeros(2, 20, 20, 3)
    assert run(blank, blank)["edge_f1"].value is None
    figures = run(blank, boxes(5, 2, 20, 20))
    assert figures["edge_f1"].value == 0 and figures["edge_precision"].value is None
    assert "output" in figures["edge_f1"].note


def test_exact_f1_has_no_tolerance():
    output, source = boxes(0), (boxes(0) + boxes(1)).clamp(0, 1)
    a, b = (edge_map(clip, operator="grey_l2").numpy().astype(bool) for clip in (output, source))
    assert run(output, source)["edge_f1_exact"].value == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()))
    shifted = run(source.roll(1, 2), source)
    assert shifted["edge_f1_exact"].value < 0.6 < 0.99 < shifted["edge_f1"].value


def test_the_series_is_every_frame_alone():
    metric, output, source = EdgeF1(), boxes(0), boxes(1)
    output[1], source[1], output[2] = 0.5, 0.5, 0.5
    for part in (slice(0, 3), slice(3, 4)):
        metric.update(output[part], source[part])
    alone = [run(output[t : t + 1], source[t : t + 1])["edge_f1"].value for t in range(4)]
    assert metric.series["edge_f1"] == alone and alone[1] is None and alone[2] == 0
