"""Subgraphs: a canvas graph with them taken apart by hand is the shipped prompt; a blueprint is whole by itself."""

import json
import uuid

import pytest
from comfy_server import ROOT
from shipped_graphs import NAMES, api_graph, ui_workflow

INPUTS, OUTPUTS = -10, -20
BLUEPRINTS = sorted((ROOT / "subgraphs").glob("*.json"))


def as_dict(link):
    if isinstance(link, dict):
        return link
    return dict(zip(("id", "origin_id", "origin_slot", "target_id", "target_slot", "type"), link))


class Expanded:
    """Every node of a canvas graph with where its wires and its subgraph's widgets lead."""

    def __init__(self, workflow):
        definitions = workflow.get("definitions", {}).get("subgraphs", [])
        self.subgraphs = {subgraph["id"]: subgraph for subgraph in definitions}
        self.levels = {None: workflow}
        for node in workflow["nodes"]:
            if node["type"] in self.subgraphs:
                self.levels[node["id"]] = self.subgraphs[node["type"]]

    def link(self, level, number):
        (found,) = (link for link in map(as_dict, self.levels[level]["links"]) if link["id"] == number)
        return found

    def node(self, level, number):
        (found,) = (node for node in self.levels[level]["nodes"] if node["id"] == number)
        return found

    def origin(self, level, number):
        """Of a link: (node's id in a prompt, slot), or ("=", value) for a widget of a subgraph's outside."""
        link = self.link(level, number)
        source, slot = link["origin_id"], link["origin_slot"]
        if source == INPUTS:
            box = self.node(None, level)
            socket = box["inputs"][slot]
            assert socket["name"] == self.levels[level]["inputs"][slot]["name"]
            assert number in self.levels[level]["inputs"][slot]["linkIds"]
            if socket["link"] is not None:
                return self.origin(None, socket["link"])
            shown = [s["name"] for s in box["inputs"] if "widget" in s]
            return "=", box["widgets_values"][shown.index(socket["name"])]
        if source in self.levels:
            (inner,) = self.levels[source]["outputs"][slot]["linkIds"]
            assert self.link(source, inner)["target_id"] == OUTPUTS
            return self.origin(source, inner)
        assert number in self.node(level, source)["outputs"][slot]["links"]
        return f"{level}:{source}" if level else str(source), slot

    def wires(self):
        """{node's id in a prompt: (its kind, {input: origin})}"""
        found = {}
        for level, graph in self.levels.items():
            for node in graph["nodes"]:
                if node["type"] in self.subgraphs or node["type"] == "MarkdownNote":
                    continue
                linked = {s["name"]: self.origin(level, s["link"]) for s in node["inputs"] if s["link"] is not None}
                found[f"{level}:{node['id']}" if level else str(node["id"])] = node["type"], linked
        return found


@pytest.mark.parametrize("name", NAMES)
def test_a_canvas_graph_without_its_subgraphs_is_the_prompt(name):
    wires = Expanded(ui_workflow(name)).wires()
    prompt = api_graph(name)
    assert {key: kind for key, (kind, _) in wires.items()} == {k: node["class_type"] for k, node in prompt.items()}
    for key, (_, linked) in wires.items():
        inputs = prompt[key]["inputs"]
        assert {n: list(end) for n, end in linked.items() if end[0] != "="} == {
            n: value for n, value in inputs.items() if isinstance(value, list)
        }
        assert all(inputs[n] == end[1] for n, end in linked.items() if end[0] == "=")


@pytest.mark.parametrize("name", NAMES)
def test_every_node_and_link_has_a_number_of_its_own(name):
    """Frontends give new ones otherwise, with a warning for each."""
    workflow = ui_workflow(name)
    levels = [workflow, *workflow.get("definitions", {}).get("subgraphs", [])]
    for numbers in (
        [node["id"] for level in levels for node in level["nodes"]],
        [as_dict(link)["id"] for level in levels for link in level["links"]],
    ):
        assert len(set(numbers)) == len(numbers)
    assert all(uuid.UUID(level["id"]) for level in levels[1:])


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_a_blueprint_is_one_subgraph_that_nothing_is_wired_to(path):
    workflow = json.loads(path.read_text(encoding="utf-8"))
    (box,), (inside,) = workflow["nodes"], workflow["definitions"]["subgraphs"]
    assert box["type"] == inside["id"] and inside["description"] and workflow["links"] == []
    assert [s["name"] for s in box["inputs"]] == [s["name"] for s in inside["inputs"]]
    assert [s["name"] for s in box["outputs"]] == [s["name"] for s in inside["outputs"]]
    assert all(socket["link"] is None for socket in box["inputs"])
    numbers = {node["id"] for node in inside["nodes"]}
    assert {end for link in inside["links"] for end in (link["origin_id"], link["target_id"])} <= numbers | {-10, -20}
    # Its own identity: beside a shipped graph's subgraph of the same name, both keep what is in them.
    ids = {s["id"] for name in NAMES for s in ui_workflow(name).get("definitions", {}).get("subgraphs", [])}
    assert inside["id"] not in ids


def test_there_is_a_blueprint_for_frames_maps_prompts_and_sampling():
    names = ["Control maps", "Frames", "Invert and sample", "Prompts"]
    assert [path.stem for path in BLUEPRINTS] == [f"Video Realism - {name}" for name in names]
