"""Control maps made worse: by as much as was asked for, and nothing else of them."""

import pytest
import torch

from benchmarks.papers.degraded import BLOCK, blurred, fit, holed, late, misnamed, noisy
from pipeline_core.conditions.edges import CANNY_PRESETS, edge_map
from pipeline_core.conditions.segmentation import segmentation_map

T, H, W = 4, 6 * BLOCK, 10 * BLOCK


@pytest.fixture
def maps():
    """Four upright bands of classes and depths that move a column a frame, and the edges between them."""
    columns = torch.arange(W)[None] + torch.arange(T)[:, None]
    bands = ((columns // 20) % 4)[:, None].expand(T, H, W)
    tags = torch.tensor([1, 3, 9, 14], dtype=torch.uint8)[bands]
    edge = torch.zeros(T, H, W)
    edge[:, :, 1:] = (bands.diff(dim=2) != 0).float()
    return {"edge": edge, "depth": bands / 4 + 0.1, "segmentation": segmentation_map(tags)}


def test_noise_is_as_wide_as_it_says(maps):
    worse = noisy(maps, 0.2, 1)
    wrong = (worse["edge"] != maps["edge"]).float().mean()
    assert float(wrong) == pytest.approx(0.2, abs=0.01)
    # Depth of the second band is far enough from both ends that nothing is cut off.
    inside = maps["depth"] == 0.35
    assert float((worse["depth"] - maps["depth"])[inside].std()) == pytest.approx(0.2, abs=0.03)


def test_holes_are_whole_blocks_in_every_map(maps):
    shown = {name: torch.ones_like(values) for name, values in maps.items()}
    worse = holed(shown, 0.3, 1)
    blocks = worse["edge"].unfold(1, BLOCK, BLOCK).unfold(2, BLOCK, BLOCK).flatten(3)
    assert bool((blocks == blocks[..., :1]).all())
    assert float(1 - blocks.mean()) == pytest.approx(0.3, abs=0.06)
    assert torch.equal(worse["depth"], worse["edge"]) and torch.equal(worse["segmentation"][..., 0], worse["edge"])


def test_blur_keeps_what_is_flat_and_spreads_an_edge(maps):
    flat = {"edge": torch.full((1, H, W), 0.3), "depth": torch.full((1, H, W), 0.3)}
    assert all(torch.allclose(values, torch.tensor(0.3)) for values in blurred(flat, 2.0).values())
    step = torch.zeros(1, H, W)
    step[..., W // 2 :] = 1
    slope = blurred({"edge": step}, 2.0)["edge"][0, H // 2].diff()
    places = torch.arange(len(slope)) - (slope * torch.arange(len(slope))).sum()
    assert float((slope * places.square()).sum().sqrt()) == pytest.approx(2.0, abs=0.1)  # a Gaussian of that width


def test_wrong_names_are_of_so_many_classes_all_over_the_clip(maps):
    half = misnamed(maps, 0.5, 1)["segmentation"]
    wrong = (half != maps["segmentation"]).any(-1)
    bands = maps["depth"].unique()
    shares = [float(wrong[maps["depth"] == band].float().mean()) for band in bands]
    assert sorted(shares) == [0, 0, 1, 1]
    assert torch.equal(misnamed(maps, 0.5, 1)["depth"], maps["depth"])


def test_late_maps_are_those_of_earlier_frames(maps):
    worse = late(maps, 2)
    for name, values in maps.items():
        assert torch.equal(worse[name][2:], values[:-2]) and torch.equal(worse[name][1], values[0])


def test_fit_is_one_where_all_outlines_are_edges_and_none_where_they_are_anywhere(maps):
    frames = maps["depth"][..., None].expand(T, H, W, 3) * 0.9
    assert bool(edge_map(frames, *CANNY_PRESETS["low"]).any())
    assert fit(maps, frames) == pytest.approx(1.0, abs=0.02)
    assert fit(noisy(maps, 0.4, 1), frames) < 0.2
