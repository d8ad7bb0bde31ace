"""Every shipped workflow in the real frontend: it loads whole, gives the shipped API graph, runs and draws."""

import json
import os

import pytest
from comfy_server import ROOT
from shipped_graphs import FULL_SIZE, NAMES, api_graph, classes, missing_models, put_input_files, ui_workflow
from small_workflows import subgraph_of_ours, two_nodes, workflow_of

SCREENSHOTS = ROOT / "docs" / "images" if os.environ.get("VIDEOREALISM_SCREENSHOTS") else None
PLAYERS = ("VideoRealismEnhanceRealism", "VideoRealismEditVideo", "VideoRealismVideoMetrics")
# Widgets of the canvas alone: what happens to a seed after a run, the upload button, the preview of an upload.
CANVAS_ONLY = {"control_after_generate", "upload", "choose file to upload", "video-preview"}


def plain(prompt):
    """A prompt without what does not change its result."""
    return {
        node_id: (node["class_type"], {k: v for k, v in node["inputs"].items() if k not in CANVAS_ONLY})
        for node_id, node in prompt.items()
    }


def without_newer_widgets(prompt, shipped, info):
    """The prompt without the widgets that the shipped graph does not have, where they stand at their defaults: newer
    cores add widgets, and the shipped graphs hold only what every supported core knows."""
    kept = {}
    for node_id, (kind, inputs) in prompt.items():
        wanted = shipped.get(node_id, ("", {}))[1]
        known = dict(widgets(info[kind]["input"], inputs))
        kept[node_id] = (kind, {k: v for k, v in inputs.items() if k in wanted or k not in known or v != known[k]})
    return kept


def widgets(declared, chosen, prefix=""):
    """(name, default) of every widget; those inside a dynamic combo's choice are called combo.name."""
    for name, spec in (item for kind in ("required", "optional") for item in declared.get(kind, {}).items()):
        options = spec[1] if len(spec) > 1 else {}
        choices = (spec[0] if isinstance(spec[0], list) else options.get("options")) or [None]
        first = choices[0]["key"] if isinstance(choices[0], dict) else choices[0]
        yield prefix + name, options.get("default", first)
        for choice in (c for c in choices if isinstance(c, dict) and c["key"] == chosen.get(prefix + name)):
            yield from widgets(choice["inputs"], chosen, f"{prefix}{name}.")


def test_the_frontend_starts_without_a_page_error(frontend):
    assert frontend.start["pageErrors"] == []


def test_a_whole_workflow_passes(frontend):
    found = frontend.check(two_nodes(), timeout=60)
    assert plain(found["prompt"]) == {
        "1": ("EmptyImage", {"width": 64, "height": 32, "batch_size": 1, "color": 255}),
        "2": ("VRTestStatistics", {"value": ["1", 0]}),
    }
    del found["prompt"]
    assert (found.pop("queued"), found.pop("reports")) == ("success", {})
    assert found and not any(found.values())


def test_a_workflow_with_faults_does_not_pass(frontend):
    assert frontend.check(two_nodes(kind="NodeOfNobody"), queue=False)["missing"] == ["NodeOfNobody"]
    dangling = two_nodes()
    dangling["links"].append([5, 1, 0, 3, 7, "IMAGE"])
    assert frontend.check(dangling, queue=False)["droppedLinks"] == ["1:0 -> 3.undefined"]
    renamed = two_nodes()
    renamed["nodes"][1]["inputs"][0]["name"] = "values_of_old"
    assert frontend.check(renamed, timeout=60)["queued"].startswith("rejected")
    covered = two_nodes()
    covered["nodes"][1]["pos"] = [200, 100]
    assert len(frontend.check(covered, queue=False)["overlaps"]) == 1
    assert frontend.check(two_nodes(widgets=(64, 32, -5, 255)), timeout=60)["queued"].startswith("rejected")


def test_reports_of_nodes_in_a_subgraph_are_shown_and_come_back(frontend, showing):
    showing.forget()
    found = frontend.check(subgraph_of_ours(), timeout=120)
    assert found["queued"] == "success" and set(found["prompt"]) == {"27:3", "27:4"}
    assert "edges kept 100%" in found["reports"]["Metrics"] and "street" in found["reports"]["Drive"]
    assert found["lostReports"] == []


@pytest.mark.parametrize("kind, values", [("LoadClip", []), ("EnhanceVideoFile", ["video/enhanced"])])
def test_an_example_is_shown_before_anything_runs(frontend, kind, values):
    loader = {"id": 1, "type": f"VideoRealism{kind}", "pos": [50, 50], "size": [300, 500], "flags": {}, "order": 0}
    loader |= {"mode": 0, "inputs": [], "outputs": [], "properties": {}}

    def check(clip):
        workflow = workflow_of([{**loader, "widgets_values": [clip, *values]}], [])
        return frontend.check(workflow, queue=False, videos=True)

    shown = check("example: drive")
    assert (shown["videos"], shown["lostPreviews"], shown["unshown"]) == ({"example: drive": 160}, [], [])
    gone = check("gone.mp4")
    assert gone["lostPreviews"] and bool(gone["unshown"]) == (frontend.mode == "nodes2")


@pytest.mark.parametrize("name", NAMES)
def test_shipped_workflow(frontend, showing, name):
    server = showing
    graph = api_graph(name, quick=not SCREENSHOTS)
    put_input_files(server, graph)
    runnable = name not in FULL_SIZE and not missing_models(server, graph)
    picture = SCREENSHOTS and SCREENSHOTS / f"workflow_{name}.png"
    server.forget()  # nodes served from the cache show no report
    workflow = ui_workflow(name, quick=not SCREENSHOTS)
    found = frontend.check(workflow, queue=runnable, videos=runnable, screenshot=picture)
    for what in ("missing", "droppedLinks", "pageErrors", "warnings", "lostPreviews", "unshown", "overlaps", "spills"):
        assert found[what] == [], what
    shipped = plain(graph)
    prompt = without_newer_widgets(plain(found["prompt"]), shipped, classes(server, found["prompt"]))
    titles = {node_id: node["_meta"]["title"] for node_id, node in found["prompt"].items()}
    assert titles == {node_id: node["_meta"]["title"] for node_id, node in graph.items()}
    assert prompt == shipped, json.dumps(found["prompt"])[:3000]
    if runnable:
        assert (found["queued"], found["changedWidgets"]) == ("success", [])
        for what in ("overlapsAfter", "spillsAfter", "unshownAfter", "lostReports"):
            assert found[what] == [], what
        assert found["reports"]
        # Two for each node that shows its clip before and after, still there after a tab switch.
        players = [width for file, width in found["videos"].items() if file.startswith("before_after_")]
        expected = 2 * sum(node["class_type"] in PLAYERS for key, node in graph.items() if ":" not in key)
        assert len(players) == expected and all(players)
