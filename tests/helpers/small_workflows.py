"""Small UI workflows, as the frontend saves them."""


def workflow_of(nodes, links):
    return {"last_node_id": 9, "last_link_id": 9, "nodes": nodes, "links": links, "groups": [], "version": 0.4}


def two_nodes(kind="EmptyImage", widgets=(64, 32, 1, 255)):
    source = {
        "id": 1,
        "type": kind,
        "pos": [50, 50],
        "size": [300, 130],
        "flags": {},
        "order": 0,
        "mode": 0,
        "inputs": [],
        "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [4]}],
        "properties": {},
        "widgets_values": list(widgets),
    }
    sink = {
        "id": 2,
        "type": "VRTestStatistics",
        "pos": [450, 50],
        "size": [300, 60],
        "flags": {},
        "order": 1,
        "mode": 0,
        "inputs": [{"name": "value", "type": "LATENT,IMAGE", "link": 4}],
        "outputs": [{"name": "STRING", "type": "STRING", "links": None}],
        "properties": {},
    }
    return workflow_of([source, sink], [[4, 1, 0, 2, 0, "IMAGE"]])


def subgraph_of_ours():
    """A workflow that is one subgraph: a drive, measured against itself."""
    wires = [(0, "source"), (1, "output")]
    drive = {"id": 3, "type": "VideoRealismDemoDrive", "title": "Drive", "pos": [0, 0], "size": [300, 380], "flags": {}}
    drive |= {"order": 0, "mode": 0, "inputs": [], "properties": {}}
    drive["widgets_values"] = [910003, 3, 64, 48, "synthetic", 24]
    drive["outputs"] = [{"name": "frames", "type": "IMAGE", "links": [1, 2]}]
    metrics = {"id": 4, "type": "VideoRealismVideoMetrics", "title": "Metrics", "pos": [400, 0], "size": [430, 500]}
    metrics |= {"flags": {}, "order": 1, "mode": 0, "outputs": [], "properties": {}, "widgets_values": [False]}
    metrics["inputs"] = [{"name": name, "type": "IMAGE", "link": slot + 1} for slot, name in wires]
    ends = {"origin_id": 3, "origin_slot": 0, "target_id": 4, "type": "IMAGE"}
    inner = {
        "id": "6f2d1c1e-0c5b-4f0e-9d3e-2f6f7f1f3a10",
        "version": 1,
        "state": {"lastGroupId": 0, "lastNodeId": 4, "lastLinkId": 2, "lastRerouteId": 0},
        "revision": 0,
        "config": {},
        "name": "measured",
        "inputNode": {"id": -10, "bounding": [-200, 0, 120, 60]},
        "outputNode": {"id": -20, "bounding": [900, 0, 120, 60]},
        "inputs": [],
        "outputs": [],
        "widgets": [],
        "nodes": [drive, metrics],
        "groups": [],
        "links": [{"id": slot + 1, "target_slot": slot, **ends} for slot, _ in wires],
        "extra": {},
    }
    outer = {"id": 27, "type": inner["id"], "pos": [50, 50], "size": [200, 60], "flags": {}, "order": 0, "mode": 0}
    outer |= {"inputs": [], "outputs": [], "properties": {}, "widgets_values": []}
    return {**workflow_of([outer], []), "definitions": {"subgraphs": [inner]}}
