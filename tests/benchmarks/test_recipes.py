"""What the recipes change of a batch, by what is known of it."""

import pytest
import torch

from benchmarks import recipes
from training.dit_data import Batch


@pytest.fixture
def batch():
    x0 = torch.zeros(2, 3, 1, 2, 2)
    weights = {name: torch.full((2, 1, 1), 1 / 3) for name in ("edge", "depth", "segmentation")}
    hints = dict.fromkeys(weights, x0)
    words = torch.ones(2, 4, dtype=torch.long)
    return Batch(x0, hints, weights, words, words, torch.tensor([0.9, 0.9]), x0, torch.full((2, 1, 1, 2, 2), 3.0))


def test_one_branch_is_another_one_in_every_second_step(batch):
    shown = [
        [name for name, weight in recipes.one_branch(batch, step).weights.items() if bool((weight == 1).all())]
        for step in (0, 2, 4)
    ]
    assert shown == [["edge"], ["depth"], ["segmentation"]]
    assert all(float(w.sum()) == 0 for n, w in recipes.one_branch(batch, 0).weights.items() if n != "edge")
    assert recipes.one_branch(batch, 1) is batch


def test_flow_times_are_drawn_evenly_and_the_same_for_a_step(batch):
    drawn = torch.stack([recipes.even_times(batch, step).sigma for step in range(2000)])
    assert float(drawn.mean()) == pytest.approx(0.5, abs=0.02) and float(drawn.std()) == pytest.approx(
        12**-0.5, abs=0.02
    )
    assert torch.equal(recipes.even_times(batch, 7).sigma, drawn[7])


def test_every_place_counts_alike(batch):
    assert torch.equal(recipes.alike(batch).importance, torch.ones_like(batch.importance))
