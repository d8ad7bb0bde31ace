"""Views of objects against masks that are written down."""

import torch

from pipeline_core.metrics.views import box, extent, views

CLASSES = torch.tensor([[7, 7, 0, 8], [7, 7, 0, 8], [0, 0, 7, 8]], dtype=torch.uint8)
INSTANCES = torch.tensor([[5, 5, 5, 2], [0, 5, 0, 2], [0, 0, 3, 2]], dtype=torch.int32)


def test_views_are_the_instances_of_the_tags_that_are_large_enough():
    found = dict(views(CLASSES, INSTANCES, (7,), 1))
    assert list(found) == [3, 5] and found[5].nonzero().tolist() == [[0, 0], [0, 1], [1, 1]]  # only where its class is
    assert list(dict(views(CLASSES, INSTANCES, (7, 8), 2))) == [2, 5]
    assert list(views(CLASSES, INSTANCES, (), 1)) == []


def test_a_box_ends_where_the_frame_does():
    mask = torch.zeros(6, 8, dtype=torch.bool)
    mask[4, 2] = mask[5, 4] = True
    assert extent(mask) == [range(4, 6), range(2, 5)]
    part = box(extent(mask), (1, 3))
    assert mask[part].shape == (3, 8) and part[0].start == 3 and part[1].start == 0
