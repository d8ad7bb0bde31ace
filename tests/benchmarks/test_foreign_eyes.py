"""Eyes of another world: the network's structure against its published numbers, the distance against its definition."""

import pytest
import torch

from benchmarks.efficientnet_lite import FEATURES, features, prepared, shapes
from benchmarks.foreign_eyes import Distances
from pipeline_core.metrics.distribution import kernel_distance


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_structure_has_the_published_number_of_weights():
    """4 652 008 parameters (Google's table says 4.7 million), the running statistics apart."""
    learnt = (shape for name, shape in shapes().items() if "running" not in name and "tracked" not in name)
    assert sum(torch.Size(shape).numel() for shape in learnt) == 4_652_008


def test_every_weight_counts_and_all_frames_are_seen_alone():
    weights = {name: 0.1 * drawn(*shape, seed=i) for i, (name, shape) in enumerate(shapes().items()) if shape}
    weights |= {name: value.abs() + 0.5 for name, value in weights.items() if "running_var" in name}
    learnt = {name: value.requires_grad_() for name, value in weights.items() if "running" not in name}
    planes = drawn(2, 3, 64, 64)
    answer = features(weights, planes)
    assert answer.shape == (2, FEATURES)
    answer.sum().backward()
    unused = {name for name, value in learnt.items() if value.grad is None}
    assert unused == {"_fc.weight", "_fc.bias"}
    with torch.no_grad():
        assert torch.allclose(features(weights, planes[1:])[0], answer[1], atol=1e-4)


def test_white_and_black_stand_where_training_put_them():
    assert torch.allclose(prepared(torch.ones(1, 8, 8, 3)), torch.tensor(1.0), atol=1e-4)
    assert torch.equal(prepared(torch.zeros(1, 8, 8, 3)).unique(), torch.tensor([-127 / 128]))


def test_one_frame_a_scene_is_the_kernel_distance_itself():
    scenes, real = drawn(6, 1, 8), drawn(9, 8, seed=1) + 0.3
    distance = Distances(scenes, real)
    assert distance(torch.arange(6)) == pytest.approx(kernel_distance(scenes[:, 0], real), rel=1e-9)


def test_frames_that_repeat_change_nothing():
    scenes, real = drawn(6, 1, 8), drawn(9, 8, seed=1)
    once, thrice = Distances(scenes, real), Distances(scenes.expand(-1, 3, -1), real)
    for draw in (torch.arange(6), torch.tensor([0, 0, 2, 3, 3, 5])):
        assert once(draw) == pytest.approx(thrice(draw))
    doubled = torch.cat([scenes, scenes])  # as scenes of their own they would look alike, and near
    assert Distances(doubled, real)(torch.arange(12)) > once(torch.arange(6)) + 0.01
    assert once(torch.arange(6).repeat(2)) == pytest.approx(once(torch.arange(6)))
