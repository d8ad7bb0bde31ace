"""What ComfyUI sees of the pack: it loads, every node's schema is complete, and loading it brings in nothing heavy."""

import json
import subprocess

import pytest
from comfy_server import PACK_NAME, ROOT

from client.own_server import environment

# Loads the pack the way ComfyUI does, with the optional packages missing, and notes what the pack's files import.
LOAD = """
import asyncio, builtins, json, sys
sys.argv = ["main.py", "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import utils.install_util  # as main.py does: nodes.py of 0.3.64 puts comfy/ first, and its utils.py
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
selftest = next(m for name, m in sys.modules.items() if name.endswith(".nodes.host.selftest"))
ours = {name: nodes.NODE_CLASS_MAPPINGS[name] for name in nodes.NODE_CLASS_MAPPINGS if name not in before}
for node in ours.values():
    node.GET_SCHEMA()

import logging, comfy.samplers, comfy.model_sampling
class Lines(logging.Handler):
    def emit(self, record):
        if record.name.endswith("selftest"):
            lines.append(record.getMessage())
lines, results = [], {}
logging.getLogger().addHandler(Lines())
def attempt(label, owner, name, value):
    kept = owner.__dict__[name]
    delattr(owner, name) if value is None else setattr(owner, name, value)
    lines.clear()
    selftest.log_problems()
    results[label] = list(lines)
    setattr(owner, name, kept)
selftest.log_problems()
results["whole"] = list(lines)
attempt("gone", comfy.samplers.CFGGuider, "inner_set_conds", None)
attempt("fewer", comfy.samplers, "calc_cond_batch", lambda model, conds: None)
attempt("more", comfy.samplers.CFGGuider, "predict_noise", lambda self, x, timestep, masks, seed=None: None)
attempt("rule", comfy.model_sampling.CONST, "noise_scaling", lambda self, s, n, x, m=False: x + s * n)
attempt("odd", comfy.samplers.Sampler, "max_denoise", 3)

from comfy_config.config_parser import extract_node_configuration
read = extract_node_configuration(PACK)
project = [read.project.name, read.project.supported_os, read.project.supported_accelerators]
project += [read.project.supported_comfyui_version, read.tool_comfy.publisher_id, read.tool_comfy.display_name]
found = {"loaded": loaded, "nodes": list(ours), "imported": sorted(imported), "selftest": results, "project": project}
print(json.dumps(found))
"""


RENAMED = """
import asyncio, json, sys
sys.argv = ["main.py", "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import utils.install_util
import comfy.context_windows, nodes
del comfy.context_windows.ContextHandlerABC
before = set(nodes.NODE_CLASS_MAPPINGS)
asyncio.run(nodes.load_custom_node(sys.stdin.read().strip()))
print(json.dumps(sorted(set(nodes.NODE_CLASS_MAPPINGS) - before)))
"""


@pytest.fixture(scope="session")
def our_nodes(server):
    return {
        name: info
        for name, info in server.object_info().items()
        if info["python_module"] == f"custom_nodes.{PACK_NAME}"
    }


@pytest.fixture(scope="session")
def loaded(comfyui):
    """What LOAD found in a ComfyUI process of its own, without a server."""
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
    return found


def test_the_pack_loads_light_and_complete_without_its_optional_packages(loaded, our_nodes):
    assert sorted(loaded["nodes"]) == sorted(our_nodes)
    heavy = {"diffusers", "transformers", "kornia", "av", "accelerate", "controlnet_aux", "skimage", "scipy"}
    assert "torch" in loaded["imported"], "the import recorder saw nothing"
    assert not heavy & set(loaded["imported"])


def test_the_self_test_is_silent_on_a_whole_core_and_says_one_line_on_a_changed_one(loaded):
    lines = loaded["selftest"]
    assert lines.pop("whole") == []
    named = {
        "gone": "comfy.samplers.CFGGuider.inner_set_conds is gone",
        "fewer": "comfy.samplers.calc_cond_batch takes other arguments",
        "more": "comfy.samplers.CFGGuider.predict_noise takes other arguments",
        "rule": "comfy.model_sampling.CONST mixes latent and noise by another rule",
        "odd": "comfy.samplers.Sampler.max_denoise takes other arguments",
    }
    assert set(lines) == set(named)
    for label, (line,) in lines.items():
        assert line.startswith("Video Realism: ") and named[label] in line and "\n" not in line


def test_comfyui_reads_the_pack_s_metadata(loaded):
    name, systems, accelerators, version, publisher, title = loaded["project"]
    assert (name, systems, title) == ("comfyui-videorealism", ["OS Independent"], "Video Realism")
    assert accelerators and version.startswith(">=") and publisher


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
    log, started, _ = server.log().partition("To see the GUI")  # what follows is of the prompts that other tests ran
    assert started and PACK_NAME in log
    assert "IMPORT FAILED" not in log and "Traceback" not in log
    assert "Video Realism:" not in log


def test_what_a_newer_core_renamed_costs_the_nodes_that_need_it_and_the_log_says_why(comfyui, our_nodes):
    folder, python = comfyui
    run = subprocess.run(
        [python, "-c", RENAMED],
        cwd=folder,
        env={**environment(), "PYTHONPATH": str(folder)},
        input=str(ROOT).replace("\\", "/") + "\n",
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    left = set(json.loads(run.stdout.strip().splitlines()[-1]))
    gone = set(our_nodes) - left
    assert "VideoRealismWindowedModel" in gone and "VideoRealismDDIMInvert" in left and len(left) > 15
    assert "folder sampling are missing" in run.stderr and "ContextHandlerABC" in run.stderr
