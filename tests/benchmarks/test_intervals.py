"""Bootstrap intervals against closed forms."""

import pytest
import torch

from benchmarks.papers.intervals import interval


def test_equal_scenes_leave_no_doubt():
    assert interval([0.25] * 7) == [0.25, 0.25]
    assert interval([2.0, 1.0, 4.0], [4, 2, 8]) == [0.5, 0.5]  # shares are of views: every scene keeps half of its own


def test_many_scenes_give_the_normal_interval():
    values = torch.randn(400, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    low, high = interval(values.tolist())
    reach = 1.96 * float(values.std(correction=0)) / 20
    assert low == pytest.approx(float(values.mean()) - reach, abs=0.15 * reach)
    assert high == pytest.approx(float(values.mean()) + reach, abs=0.15 * reach)


def test_scenes_without_views_do_not_count():
    assert interval([0, 0, 0], [0, 0, 0]) is None
    assert interval([3, 0], [4, 0]) == [0.75, 0.75]
