"""Values that no input allows, into every node of the pack: refused in one sentence that names the input."""

import json
import subprocess

import pytest
from comfy_server import ROOT, Graph, RunError

from client.own_server import environment

# Loads the pack the way ComfyUI does and calls each node with one odd value, by a way on which ComfyUI checks nothing.
WALK = """
import asyncio, json, math, sys
sys.argv = ["main.py", "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import utils.install_util  # first, as in main.py: nodes puts comfy/, which has another utils, on the path
import nodes
import comfy_api.latest
before = set(nodes.NODE_CLASS_MAPPINGS)
asyncio.run(nodes.load_custom_node(sys.stdin.readline().strip()))
found = []
WRONG = {"INT": "x", "FLOAT": "x", "BOOLEAN": "x", "STRING": 7, "COMBO": 7}
def call(name, node, entry, value):
    try:
        node.EXECUTE_NORMALIZED(**{entry.id: [value] if node.SCHEMA.is_input_list else value})
        said = "accepted"
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    found.append([name, entry.id, repr(value)[:20], said])
for name in sorted(set(nodes.NODE_CLASS_MAPPINGS) - before):
    node = nodes.NODE_CLASS_MAPPINGS[name]
    for entry in node.GET_SCHEMA().inputs:
        kind = entry.get_io_type()
        if kind not in WRONG:
            nothing = entry.optional or entry.id in getattr(node, "MAY_BE_NOTHING", ())
            for value in (7, 0.5, True, "x", {}, [7], {"samples": 7}) + (() if nothing else (None,)):
                call(name, node, entry, value)
        if kind in ("INT", "FLOAT"):
            assert entry.min is not None and entry.max is not None, (name, entry.id)
            for value in (math.nan, math.inf, -math.inf, entry.min - 1, entry.max + 1):
                call(name, node, entry, value)
        for value in ({}, [7], WRONG[kind]) if kind in WRONG else ():
            call(name, node, entry, value)
        if kind == "STRING":
            for value in ("a" * 300 + chr(0), chr(0xD800)):
                call(name, node, entry, value)
print(json.dumps(found))
"""


def test_every_input_of_every_node_is_held_to_its_schema(comfyui, tmp_path):
    folder, python = comfyui
    done = subprocess.run(
        [python, "-c", WALK], input=f"{ROOT}\n", capture_output=True, text=True, cwd=folder, env=environment()
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for name, entry, value, said in found:
        assert said.startswith(f"UserError: {entry} ") and said.endswith(f"{entry}.") or "again." in said, (
            name, entry, value, said,
        )  # fmt: skip
    assert len(found) > 600 and len({name for name, *_ in found}) >= 20


@pytest.mark.parametrize(
    "name, value", [("fps", float("nan")), ("fps", float("inf")), ("fps", 1e9), ("frames", -1), ("frames", 10**12)]
)
def test_numbers_in_widgets_are_refused(server, name, value):
    graph = Graph()
    inputs = {"scene_seed": 900001, "frames": 1, "width": 32, "height": 16, "style": "synthetic", "fps": 24.0}
    drive = graph.add("VideoRealismDemoDrive", **{**inputs, name: value})
    graph.add("PreviewImage", images=drive)
    with pytest.raises(RunError) as refused:
        server.run(graph)
    assert name in refused.value.exception_message and "\n" not in refused.value.exception_message
