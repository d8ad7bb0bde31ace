"""A graph that is opened from the list of templates is fitted into the window: its texts have to be large enough."""

import pytest
from shipped_graphs import NAMES, ui_workflow

WINDOW = 1900, 1070  # pixels that the frontend leaves of 1920x1080
FILLED = 0.75  # of them, by the frontend's fitToBounds
READABLE = 0.6  # below, the canvas leaves out every text
FIRST = {"enhance_one_node": 0.8, "realism_demo": 0.7}  # what a newcomer opens
TITLE = 30


@pytest.mark.parametrize("name", NAMES)
def test_titles_can_be_read_when_a_graph_is_opened(name):
    boxes = [(*node["pos"], *node["size"]) for node in ui_workflow(name)["nodes"]]
    low = [min(box[axis] for box in boxes) - axis * TITLE for axis in (0, 1)]
    high = [max(box[axis] + box[axis + 2] for box in boxes) for axis in (0, 1)]
    zoom = min(FILLED * WINDOW[axis] / (high[axis] - low[axis]) for axis in (0, 1))
    assert zoom >= FIRST.get(name, READABLE)
