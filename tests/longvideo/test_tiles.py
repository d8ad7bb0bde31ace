"""Spatial tiles: they cover a frame, their weights add up to one, and what all tiles predict alike is left as it is."""

import pytest
import torch

from pipeline_core.errors import UserError
from pipeline_core.longvideo.fused import fused_predict
from pipeline_core.longvideo.tiles import tiled_predict
from pipeline_core.video.tiles import Tiles, plan_tiles

TILE = (6, 10)
SIZES = [((68, 120), 2), ((12, 20), 1), ((7, 11), 0), ((6, 10), 2), ((3, 30), 4)]


def draw(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("size, overlap", SIZES)
def test_tiles_cover_the_frame_with_at_least_their_overlap(size, overlap):
    tiles, tile = plan_tiles(size, TILE, overlap), TILE
    for axis, length, side in zip((tiles.rows, tiles.columns), size, tile):
        assert axis[0].start == 0 and axis[-1].stop == length and {len(span) for span in axis} == {min(side, length)}
        assert all(before.stop - after.start >= overlap for before, after in zip(axis, axis[1:]))
        fewest = 1 if length <= side else -(-(length - overlap) // (side - overlap))
        assert len(axis) == fewest


@pytest.mark.parametrize("size, overlap", SIZES)
def test_cut_and_joined_is_the_same_also_in_finer_units(size, overlap):
    tiles = plan_tiles(size, TILE, overlap)
    for factor in (1, 3):
        planes = draw(2, *(factor * side for side in size))
        torch.testing.assert_close(tiles.scaled(factor).join(tiles.scaled(factor).cut(planes)), planes)


def test_a_point_by_point_model_predicts_in_tiles_what_it_predicts_at_once():
    tiles, x = plan_tiles((9, 14), (4, 6), 2), draw(1, 2, 3, 9, 14)
    model = lambda x, sigma, branches: [torch.tanh(x / (1 + sigma)) * k for k, _ in enumerate(branches, 1)]  # noqa: E731
    count = len(tiles.rows) * len(tiles.columns)
    for whole, joined in zip(model(x, 0.7, "ab"), tiled_predict([model] * count, tiles)(x, 0.7, "ab"), strict=True):
        torch.testing.assert_close(joined, whole)


def test_space_is_joined_as_time_is():
    """Tiles along one axis are fused windows turned on their side."""
    spans = (range(0, 5), range(3, 8), range(6, 11))
    predicts = [lambda x, sigma, branches, k=k: [torch.full_like(x, k)] for k in range(3)]
    in_time = fused_predict(predicts, spans)(draw(1, 1, 11, 1, 1), 1.0, "a")[0]
    in_space = tiled_predict(predicts, Tiles((range(1),), spans))(draw(1, 1, 1, 1, 11), 1.0, "a")[0]
    torch.testing.assert_close(in_space.flatten(), in_time.flatten())


def test_an_overlap_as_large_as_a_tile_is_refused():
    with pytest.raises(UserError, match="overlap"):
        plan_tiles((20, 20), (6, 10), 6)
