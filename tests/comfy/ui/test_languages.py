"""Shipped graphs, blueprints and reports in the frontend of a user who reads another language."""

import json

import pytest
from comfy_server import ROOT
from make_graph_words import words
from shipped_graphs import all_nodes, api_graph, ui_workflow
from small_workflows import subgraph_of_ours, two_nodes

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


def test_reports_are_shown_in_the_user_s_language_and_kept_in_english(frontend, showing, in_french):
    showing.forget()
    found = frontend.check(subgraph_of_ours(), timeout=120)
    shown = found["reports"]["Metrics"].splitlines()
    assert "contours conservés 100%" in shown and not any("edges kept" in line for line in shown)
    assert any(line.split()[:1] == ["edge_f1"] for line in shown)  # the names of figures are the same everywhere
    assert found["lostReports"] == found["pageErrors"] == found["warnings"] == []
    *_, newest = showing.get("/history").values()
    (text,) = newest["outputs"]["27:4"]["text"]
    assert "edges kept 100%" in text


def test_a_blueprint_is_translated_where_it_is_put_into_a_graph(frontend, in_french):
    blueprint = json.loads((ROOT / "subgraphs" / "Video Realism - Prompts.json").read_text(encoding="utf-8"))
    known, _ = words("fr")
    (inside,) = blueprint["definitions"]["subgraphs"]
    english = {node["title"] for node in inside["nodes"]}
    placed = frontend.check(two_nodes(), queue=False, blueprint=blueprint)["placed"]
    assert {known[title] for title in english} <= set(placed) and not english & set(placed)
    assert known["positive"] in placed
