"""A shipped graph in the frontend of a user who reads another language."""

import pytest
from make_graph_words import words
from shipped_graphs import all_nodes, api_graph, ui_workflow

NAME = "realism_video_file"


@pytest.fixture
def in_french(showing):
    showing.post("/settings/Comfy.Locale", "fr")
    yield
    showing.post("/settings/Comfy.Locale", "en")


def test_a_shipped_graph_is_translated_and_computes_the_same(frontend, in_french):
    known, _ = words("fr")
    found = frontend.check(ui_workflow(NAME), queue=False)
    for what in ("missing", "droppedLinks", "pageErrors", "warnings"):
        assert found[what] == [], what
    graph, own = api_graph(NAME), {node.get("title") for node in all_nodes(ui_workflow(NAME))}
    assert found["prompt"].keys() == graph.keys()
    for key, node in graph.items():
        seen, title = found["prompt"][key], node["_meta"]["title"]
        assert {name: seen["inputs"][name] for name in node["inputs"]} == node["inputs"]
        if title in own:  # others are the frontend's own names
            assert seen["_meta"]["title"] == known[title]


def test_a_graph_of_the_user_s_own_is_left_alone(frontend, in_french):
    workflow = ui_workflow(NAME)
    del workflow["extra"]["video_realism"]
    titles = {node["_meta"]["title"] for node in frontend.check(workflow, queue=False)["prompt"].values()}
    assert "Contact sheet" in titles and "Planche-contact" not in titles
