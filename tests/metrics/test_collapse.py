"""Collapsed frames against closed forms: scaled, flat, repeated and brightened frames of random pictures."""

import pytest
import torch

from pipeline_core.metrics.collapse import Collapse


@pytest.fixture
def source():
    return 0.25 + 0.5 * torch.rand(7, 16, 20, 3, generator=torch.Generator().manual_seed(0))


def measured(output, source):
    """The figures, which are the same in chunks of any length."""
    whole, parts = Collapse(), Collapse()
    whole.update(output, source)
    for start, stop in ((0, 1), (1, 4), (4, 7)):
        parts.update(output[start:stop], source[start:stop])
    assert whole.compute() == parts.compute() and whole.series == parts.series
    return {name: figure.value for name, figure in whole.compute().items()}, whole


def test_contrast_and_motion_are_shares_of_the_source_s(source):
    values, metric = measured(0.5 * source + 0.25, source)
    assert values["contrast_least"] == pytest.approx(0.5, abs=1e-5)
    assert values["motion_least"] == pytest.approx(0.5, abs=1e-5)
    assert metric.series["motion"][0] is None and len(metric.series["motion"]) == 7


@pytest.mark.parametrize("value", [0.0, 0.4])
def test_a_flat_frame_has_no_contrast(source, value):
    output = source.clone()
    output[3] = value
    values, metric = measured(output, source)
    assert values["contrast_least"] == pytest.approx(0, abs=1e-6)
    assert metric.compute()["contrast_least"].note == "at frame 3"


def test_a_repeated_frame_does_not_move_unless_the_source_stands_too(source):
    output = source.clone()
    output[4] = output[3]
    values, metric = measured(output, source)
    assert values["motion_least"] == 0 and metric.compute()["motion_least"].note == "at frame 4"
    still = source[:1].expand_as(source)
    assert measured(still, still)[0]["motion_least"] is None


def test_a_step_of_brightness_is_one_jump_and_flicker_is_many(source):
    step, flicker = source.clone(), source.clone()
    step[3:] += 0.2
    flicker += 0.1 * torch.tensor([1.0, -1.0] * 4)[:7, None, None, None]
    values, metric = measured(step, source)
    assert metric.series["jumps"] == pytest.approx([None, 0, 0, 0.2, 0, 0, 0], abs=1e-6)
    assert values["jumps"] == pytest.approx(0.2 / 6, abs=1e-6) and values["jump_worst"] > 1000
    values, _ = measured(flicker, source)
    assert values["jumps"] == pytest.approx(0.2, abs=1e-5) and values["jump_worst"] == pytest.approx(1, abs=1e-4)


def test_what_moves_in_both_is_no_jump(source):
    values, metric = measured(source.roll(1, 2), source.roll(1, 2))
    assert values["jumps"] == 0 and values["jump_worst"] is None
    assert metric.compute()["jump_worst"].note == "nothing changes beyond the source"


def test_one_frame_has_no_steps(source):
    metric = Collapse()
    metric.update(source[:1], source[:1])
    figures = metric.compute()
    assert [figures[name].value for name in ("motion_least", "jumps", "jump_worst")] == [None] * 3
    assert figures["contrast_least"].value == pytest.approx(1)
