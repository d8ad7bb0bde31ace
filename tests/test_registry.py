"""What the Comfy registry reads: pyproject.toml is complete, and says what CI really runs."""

import re
import sys
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")
if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# What ComfyUI's own parser accepts behind "Environment :: ".
ACCELERATORS = {
    "GPU :: NVIDIA CUDA",
    "GPU :: AMD ROCm",
    "GPU :: Intel Arc",
    "NPU :: Huawei Ascend",
    "GPU :: Apple Metal",
}


def classifiers(head):
    return {line.removeprefix(head) for line in PYPROJECT["project"]["classifiers"] if line.startswith(head)}


def workflow(name):
    return yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8"))


def test_the_registry_section_is_complete():
    comfy = PYPROJECT["tool"]["comfy"]
    assert {"PublisherId", "DisplayName", "requires-comfyui"} <= set(comfy)
    assert all(comfy.values())
    assert "web" not in comfy  # would move the help pages to another address where the folder has another name
    project = PYPROJECT["project"]
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,99}", project["name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", project["version"])
    assert project["urls"]["Repository"].startswith("https://github.com/")
    assert project["description"] and (ROOT / project["readme"]).is_file()


def test_systems_and_accelerators_are_ones_comfyui_knows():
    assert classifiers("Operating System :: ") == {"OS Independent"}
    assert classifiers("Environment :: ") and classifiers("Environment :: ") <= ACCELERATORS


def test_ci_runs_the_oldest_comfyui_the_pack_claims():
    tested = workflow("comfyui")["jobs"]["comfyui"]["strategy"]["matrix"]["comfyui"]
    claimed = PYPROJECT["tool"]["comfy"]["requires-comfyui"].removeprefix(">=")
    versions = [tuple(map(int, tag.removeprefix("v").split("."))) for tag in tested]
    assert min(versions) == tuple(map(int, claimed.split("."))) and len(versions) >= 2


def test_a_version_change_publishes():
    publish = workflow("publish")
    trigger = publish[True]["push"]  # YAML 1.1 reads the key "on" as true
    assert trigger == {"branches": ["main"], "paths": ["pyproject.toml"]}
    last = publish["jobs"]["publish"]["steps"][-1]
    assert last["uses"].startswith("Comfy-Org/publish-node-action@") and "publish == 'yes'" in last["if"]
    assert last["with"] == {"personal_access_token": "${{ secrets.REGISTRY_ACCESS_TOKEN }}"}


def test_what_the_archive_leaves_out_is_not_what_the_nodes_import():
    left_out = {line.rstrip("/") for line in (ROOT / ".comfyignore").read_text().splitlines() if line[:1] not in "#"}
    assert left_out and not left_out & {"nodes", "pipeline_core", "models", "web", "locales", "workflows", "scripts"}
    assert all((ROOT / name).exists() for name in left_out)
    for folder in ("nodes", "pipeline_core"):
        for file in (ROOT / folder).rglob("*.py"):
            roots = re.findall(r"^\s*(?:from|import) (\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert not left_out & set(roots), file
