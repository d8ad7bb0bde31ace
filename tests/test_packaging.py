"""What the packaging files promise: one version, one dependency list, nothing heavy or global at import."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline_core

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirement_lines(name):
    lines = (ROOT / name).read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def test_one_version_everywhere():
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE).group(1)
    assert PROJECT["version"] == pipeline_core.__version__ == newest


def test_runtime_requirements_are_those_of_pyproject_and_leave_comfyui_packages_alone():
    lines = requirement_lines("requirements.txt")
    frontend, *others = PROJECT["dependencies"]
    assert frontend.startswith("comfyui-frontend-package>=") and lines == others
    names = {re.match(r"[\w-]+", line).group().lower() for line in lines}
    assert not names & {"torch", "torchvision", "torchaudio", "numpy", "pillow"}
    assert not any(name.startswith("opencv") for name in names)


def test_development_lock_is_pinned_torch_first_and_installs_nothing_for_a_gpu():
    lines = requirement_lines("requirements-dev.txt")
    assert lines[0] == "torch==2.13.0"
    pinned = re.compile(r"[a-z0-9-]+==[^ ;/@]+(; python_version .*)?$")
    assert [line for line in lines if not pinned.match(line)] == []
    assert not [line for line in lines if re.match(r"nvidia-|cuda-|triton|torchvision", line)]


def test_lock_satisfies_the_runtime_requirements():
    requirements = pytest.importorskip("packaging.requirements")
    locked = [requirements.Requirement(line) for line in requirement_lines("requirements-dev.txt")]
    for python in ("3.10", "3.12"):
        pins = {
            r.name: next(iter(r.specifier)).version
            for r in locked
            if r.marker is None or r.marker.evaluate({"python_version": python})
        }
        environment = {"python_version": python}
        for wanted in map(requirements.Requirement, requirement_lines("requirements.txt")):
            if wanted.marker is not None and not wanted.marker.evaluate(environment):
                continue
            assert wanted.specifier.contains(pins[wanted.name]), (python, wanted)


def test_importing_every_module_of_the_core_loads_nothing_heavy_and_changes_nothing_global():
    script = """
import importlib, logging, os, pkgutil, sys, torch
import pipeline_core
def state():
    numeric = torch.get_default_dtype(), torch.get_num_threads()
    return list(sys.path), dict(os.environ), numeric, logging.root.handlers[:]
before = state()
names = [m.name for m in pkgutil.walk_packages(pipeline_core.__path__, "pipeline_core.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
heavy = "diffusers", "transformers", "kornia", "av", "torchvision", "comfy", "nodes"
print("pipeline_core.errors" in names, [m for m in heavy if m in sys.modules], before == state())
"""
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.strip() == "True [] True", run.stdout + run.stderr
