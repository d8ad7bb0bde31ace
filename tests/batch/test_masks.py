"""A polygon filled again gives the mask it was made of."""

import numpy as np
import pytest

from pipeline_core.batch.export.masks import polygon

cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed: YOLO's polygons are not tried")


def filled(points, mask):
    again = np.zeros(mask.shape, np.uint8)
    cv2.fillPoly(again, [points.astype(np.int32)], 1)
    return again.astype(bool)


def blobs(count):
    """Random masks from noise to smooth shapes, many with holes and in several pieces."""
    random = np.random.default_rng(5)
    for index in range(count):
        noise = random.random(random.integers(1, 40, 2))
        smooth = cv2.GaussianBlur(noise, (0, 0), 2) if index % 3 == 0 else noise
        mask = smooth > np.quantile(smooth, random.random())
        yield mask if mask.any() else ~mask


def test_masks_in_one_piece_come_back_to_the_pixel_and_others_lose_none():
    single = several = holes = 0
    for mask in blobs(120):
        points = polygon(mask)
        again, pieces = filled(points, mask), cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] - 1
        assert len(points) >= 3
        if pieces == 1:
            assert np.array_equal(again, mask)
            holes += cv2.connectedComponents((~np.pad(mask, 1)).astype(np.uint8), connectivity=4)[0] > 2
            single += 1
        else:
            assert (again >= mask).all()
            several += 1
    assert single > 25 and several > 25 and holes > 10


@pytest.mark.parametrize("side", [1, 2, 5])
def test_a_block_needs_no_more_than_its_corners(side):
    mask = np.zeros((9, 9), bool)
    mask[2 : 2 + side, 3 : 3 + side] = True
    points = polygon(mask)
    assert len(points) == max(3, {1: 1, 2: 4, 5: 4}[side])
    assert np.array_equal(filled(points, mask), mask)
