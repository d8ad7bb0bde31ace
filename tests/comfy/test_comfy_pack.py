"""What ComfyUI sees of the pack: it loads, every node's schema is complete, and loading it brings in nothing heavy."""

import json
import subprocess

import pytest
from comfy_server import PACK_NAME, ROOT, environment

# Loads the pack the way ComfyUI does, with the optional packages missing, and notes what the pack's files import.
LOAD = """
import asyncio, builtins, json, sys
sys.argv = ["main.py", "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import nodes
import comfy_api.latest

ABSENT = {"diffusers", "kornia", "controlnet_aux", "accelerate", "skimage"}
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
for name in [n for n in sys.modules if n.split(".")[0] in ABSENT]:
    del sys.modules[name]

imported, plain_import = set(), builtins.__import__
def noting(name, globals=None, locals=None, fromlist=(), level=0):
    if level == 0 and PACK in (globals or {}).get("__file__", "").replace("\\\\", "/"):
        imported.add(name.split(".")[0])
    return plain_import(name, globals, locals, fromlist, level)
PACK = sys.stdin.readline().strip()
before = set(nodes.NODE_CLASS_MAPPINGS)
builtins.__import__ = noting
loaded = asyncio.run(nodes.load_custom_node(PACK))
builtins.__import__ = plain_import
ours = {name: nodes.NODE_CLASS_MAPPINGS[name] for name in nodes.NODE_CLASS_MAPPINGS if name not in before}
for node in ours.values():
    node.GET_SCHEMA()
print(json.dumps({"loaded": loaded, "nodes": list(ours), "imported": sorted(imported)}))
"""


@pytest.fixture(scope="session")
def our_nodes(server):
    return {
        name: info
        for name, info in server.object_info().items()
        if info["python_module"] == f"custom_nodes.{PACK_NAME}"
    }


def test_the_pack_loads_light_and_complete_without_its_optional_packages(comfyui, our_nodes):
    folder, python = comfyui
    run = subprocess.run(
        [python, "-c", LOAD],
        cwd=folder,
        env={**environment(), "PYTHONPATH": str(folder)},
        input=str(ROOT).replace("\\", "/") + "\n",
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    found = json.loads(run.stdout.strip().splitlines()[-1])
    assert found["loaded"], run.stderr[-3000:]
    assert sorted(found["nodes"]) == sorted(our_nodes)
    heavy = {"diffusers", "transformers", "kornia", "av", "accelerate", "controlnet_aux", "skimage", "scipy"}
    assert "torch" in found["imported"] or not found["nodes"], "the import recorder saw nothing"
    assert not heavy & set(found["imported"])


def test_every_node_says_what_it_is_and_what_each_input_means(our_nodes):
    incomplete = []
    for name, info in our_nodes.items():
        if not name.startswith("VideoRealism") or not info["category"].startswith("video realism/"):
            incomplete.append(f"{name}: id or category {info['category']}")
        if len(info["description"]) < 20 or info["display_name"] in ("", name):
            incomplete.append(f"{name}: description or display name")
        for kind in ("required", "optional"):
            for key, spec in info["input"].get(kind, {}).items():
                if not (len(spec) > 1 and spec[1].get("tooltip")):
                    incomplete.append(f"{name}.{key}: tooltip")
    assert incomplete == []


def test_the_server_log_has_no_failed_import_and_no_complaint_about_the_core(server):
    log = server.log()
    assert PACK_NAME in log
    assert "IMPORT FAILED" not in log and "Traceback" not in log
    assert "video realism" not in log.lower()
