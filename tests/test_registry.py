"""What the Comfy registry reads: pyproject.toml is complete, and says what CI really runs."""

import io
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from shipped_graphs import all_nodes

yaml = pytest.importorskip("yaml")
if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
FOLDERS = {"checkpoints", "controlnet", "diffusion_models", "loras", "text_encoders", "vae"}  # below ComfyUI's models
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
    assert {"PublisherId", "DisplayName", "requires-comfyui"} <= set(comfy) and all(comfy.values())
    assert "web" not in comfy  # would move the help pages to another address where the folder has another name
    project = PYPROJECT["project"]
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,99}", project["name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", project["version"])
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
    *_, check, last = publish["jobs"]["publish"]["steps"]
    assert check["run"] == "python3 scripts/release.py --check" and check["if"] == last["if"]
    assert last["uses"].startswith("Comfy-Org/publish-node-action@") and "publish == 'yes'" in last["if"]
    assert last["with"] == {"personal_access_token": "${{ secrets.REGISTRY_ACCESS_TOKEN }}"}


def archive_size(left_out):
    """Bytes of the zip the registry gets: what git knows without what .comfyignore names. Weights do not shrink."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("no git checkout")
    names = [name for name in listed.stdout.splitlines() if not name.startswith(tuple(left_out))]
    with zipfile.ZipFile(file := io.BytesIO(), "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in names:
            archive.write(ROOT / name, name)
    return len(file.getvalue())


def test_every_graph_names_packs_files_and_folders():
    """What Manager finds a missing pack by, and the frontend a missing model file."""
    for path in sorted((ROOT / "workflows").glob("*.json")):
        for node in all_nodes(json.loads(path.read_text(encoding="utf-8"))):
            if node["type"] == "MarkdownNote":
                continue
            held = node["properties"]
            pack = PYPROJECT["project"]["name"] if node["type"].startswith("VideoRealism") else "comfy-core"
            assert held["cnr_id"] == pack and re.fullmatch(r"\d+\.\d+\.\d+", held["ver"]), (path.stem, node["title"])
            named = {v for v in node["widgets_values"] if isinstance(v, str) and v.endswith(".safetensors")}
            offered = {model["name"] for model in held.get("models", [])}
            # NVIDIA's are behind a licence and have to be converted first.
            assert {name for name in named - offered} <= {n for n in named if n.startswith("cosmos_transfer1_")}
            for model in held.get("models", []):
                assert model["url"].startswith("https://huggingface.co/") and model["url"].endswith("/" + model["name"])
                assert model["directory"] in FOLDERS


def test_every_node_is_in_a_shipped_graph():
    """tests/comfy runs them all, those of large models on tiny ones."""
    graphs = [json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "workflows").glob("*.json")]
    used = {node["type"] for graph in graphs for node in all_nodes(graph) if node["type"].startswith("VideoRealism")}
    assert used == set(json.loads((ROOT / "locales/en/nodeDefs.json").read_text(encoding="utf-8")))


def test_nothing_that_the_registry_refuses():
    """The rules of `comfy node validate` in comfy-cli, which prints what it finds and succeeds all the same."""
    pytest.importorskip("ruff")
    rules = ["--select", "S102,S307,E702", "-q"]
    checked = subprocess.run([sys.executable, "-m", "ruff", "check", ".", *rules], cwd=ROOT, capture_output=True)
    assert (checked.returncode, checked.stdout) == (0, b"")


def test_what_the_archive_leaves_out_is_not_what_the_nodes_import():
    left_out = {line.rstrip("/") for line in (ROOT / ".comfyignore").read_text().splitlines() if line[:1] not in "#"}
    assert left_out and not left_out & {
        *("nodes", "pipeline_core", "models", "web", "locales", "workflows", "subgraphs", "example_clips", "scripts")
    }
    assert all((ROOT / name).exists() for name in left_out)
    assert archive_size(left_out) < 30e6
    for folder in ("nodes", "pipeline_core"):
        for file in (ROOT / folder).rglob("*.py"):
            roots = re.findall(r"^\s*(?:from|import) (\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert not left_out & set(roots), file
