"""The house rules that a machine can check: who may import whom, how long a file may be, what every graph and id needs.

Each rule is a function from a tree of files to its violations; each is tried on a tree with a planted violation too.
"""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest
from imports import imports

ROOT = Path(__file__).parents[1]
LONGEST = 400  # lines
SKIPPED = {".git", ".venv", "__pycache__", "out"}

# ComfyUI's own modules; its public face, comfy_api, is not among them.
COMFYUI = {
    "comfy",
    "comfy_config",
    "comfy_execution",
    "comfy_extras",
    "execution",
    "folder_paths",
    "latent_preview",
    "node_helpers",
    "nodes",
    "server",
}
CATEGORIES = {"loaders", "conditions", "noise", "guidance", "sampling", "video", "metrics"}
# Room of nodes/ -> rooms of nodes/ it may import. A category's own files are not among them.
NODE_ARROWS = {**{name: {"shared", "host"} for name in CATEGORIES}, "shared": {"host"}, "host": set()}

# Room of pipeline_core -> rooms it may import; all may import `errors`, `devices` and `doors`. No arrow goes up.
FRAMES = {"video", "conditions", "models", "perception"}
ROOMS = FRAMES | {"diffusion", "longvideo", "metrics", "world"}
ARROWS = {
    "errors": set(),
    "devices": set(),
    "doors": set(),
    "diffusion": set(),
    "video": set(),
    "world": set(),
    "conditions": {"video"},
    "models": {"conditions", "diffusion", "video"},
    "perception": {"conditions", "models", "video"},
    "finetune": FRAMES | {"diffusion"},
    "longvideo": FRAMES | {"diffusion"},
    "metrics": FRAMES | {"diffusion"},
    "job": FRAMES | {"diffusion", "longvideo"},
    "enhance": FRAMES | {"job"},
    "batch": ROOMS | {"job", "enhance"},
    "edits": ROOMS | {"job", "batch"},
    "cg": {"conditions", "video", "world"},
    "cli": ROOMS | {"job", "enhance", "batch", "edits", "finetune", "cg"},
    "__main__": {"cli"},
}

# Words that stand for anything: a name says which thing it is.
SAYS_NOTHING = {"told", "made", "found", "given", "kept"}
REPORT_KEYS = {("pipeline_core/metrics/objects.py", "kept")}  # Decision's fields are keys of the JSON reports


def python_files(root, *folders):
    tops = [root / folder for folder in folders] or [root]
    return [file for top in tops for file in top.rglob("*.py") if not SKIPPED & set(file.relative_to(root).parts)]


def comfyui_outside_host(root):
    """Imports of ComfyUI's own modules anywhere but under nodes/host/."""
    files = [*python_files(root, "nodes", "pipeline_core", "training"), root / "__init__.py"]
    for found in imports(root, [file for file in files if file.is_file()]):
        if not found.ours and found.module.split(".")[0] in COMFYUI and found.file.parts[:2] != ("nodes", "host"):
            yield str(found)


def core_outwards(root):
    """Imports of the core that reach out of it into this pack or into ComfyUI."""
    for found in imports(root, python_files(root, "pipeline_core")):
        top = found.module.split(".")[0]
        outside = top in COMFYUI | {"comfy_api", "benchmarks", "scripts", "tests", "training"}
        if outside or (found.ours and top != "pipeline_core"):
            yield str(found)


def arrows_upwards(root):
    """Imports between rooms of the core that ARROWS does not have; rooms that it does not name."""
    for found in imports(root, python_files(root, "pipeline_core")):
        parts = found.module.split(".")
        here = Path(found.file.parts[1]).stem
        if parts[0] != "pipeline_core" or len(parts) < 2 or here == "__init__":
            continue
        if here not in ARROWS:
            yield f"{found.file}: the table of this test has no room {here}"
        elif parts[1] not in ARROWS[here] | {here, "errors", "devices", "doors", "__version__"}:
            yield str(found)


def node_arrows(root):
    """Imports of a node file or of nodes/shared/ and nodes/host/ that reach a node file, or that go up."""
    for found in imports(root, python_files(root, "nodes")):
        parts, here = found.module.split("."), found.file.parts[1:]
        if not found.ours or parts[0] != "nodes" or len(here) < 2:
            continue
        gathers = here[0] in CATEGORIES and here[1] == "__init__.py"  # a category's own list of its nodes
        within = here[0] in ("shared", "host") or gathers
        allowed = NODE_ARROWS.get(here[0], set()) | ({here[0]} if within else set())
        if parts[1] not in allowed:
            yield str(found)


def long_files(root):
    for file in python_files(root):
        lines = len(file.read_text(encoding="utf-8").splitlines())
        if lines > LONGEST:
            yield f"{file.relative_to(root)} has {lines} lines"


def bad_node_ids(root):
    """Node ids that two nodes have, or that lack the pack's prefix."""
    texts = [file.read_text(encoding="utf-8") for file in python_files(root, "nodes")]
    ids = Counter(name for text in texts for name in re.findall(r'node_id="([^"]*)"', text))
    yield from (f"{name}: {count} nodes" for name, count in ids.items() if count > 1)
    yield from (name for name in ids if not re.fullmatch(r"VideoRealism[A-Z]\w*", name))


def graphs_without_api_form(root):
    """Shipped graphs that have only one of the two forms."""
    for_canvas = {path.stem for path in (root / "workflows").glob("*.json")}
    for_api = {path.name.removesuffix(".api.json") for path in (root / "workflows" / "api").iterdir()}
    return sorted(for_canvas ^ for_api)


def scripts_that_import_scripts(root):
    """Entry points that import another one: what they share belongs into a folder."""
    entries = {file.stem for file in (root / "scripts").glob("*.py")}
    for found in imports(root, (root / "scripts").rglob("*.py")):
        if found.module.split(".")[0] in entries:
            yield str(found)


def bound_names(tree):
    """(line, name) of what the code itself names: variables, parameters, attributes it sets, functions and classes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler)) and node.name:
            yield node.lineno, node.name
        elif isinstance(node, ast.alias) and node.asname:
            yield node.lineno, node.asname


def names_that_say_nothing(root):
    """Variables, parameters and attributes with a name of SAYS_NOTHING."""
    for file in python_files(root, "pipeline_core", "nodes"):
        place = file.relative_to(root)
        for line, name in bound_names(ast.parse(file.read_text(encoding="utf-8"))):
            if name in SAYS_NOTHING and (place.as_posix(), name) not in REPORT_KEYS:
                yield f"{place.as_posix()}:{line}: {name}"


RULES = (
    comfyui_outside_host,
    core_outwards,
    arrows_upwards,
    node_arrows,
    long_files,
    bad_node_ids,
    graphs_without_api_form,
    scripts_that_import_scripts,
    names_that_say_nothing,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps(rule):
    assert list(rule(ROOT)) == []


def test_the_table_of_arrows_has_no_way_round_and_no_room_that_is_not_there():
    left = {room: set(below) for room, below in ARROWS.items()}
    while left:
        bottom = {room for room, below in left.items() if not below & left.keys()}
        assert bottom, f"these rooms import each other: {left}"
        left = {room: below for room, below in left.items() if room not in bottom}
    there = {Path(path.name).stem for path in (ROOT / "pipeline_core").iterdir() if path.name[:2] != "__"}
    assert there <= ARROWS.keys()
    assert "metrics" not in ARROWS["longvideo"] and "longvideo" not in ARROWS["metrics"]


CORE, NODE = "pipeline_core/diffusion/run.py", "nodes/noise/invert.py"
PLANTED = [
    (comfyui_outside_host, NODE, "import comfy.sample"),
    (comfyui_outside_host, NODE, "def f():\n    from comfy import samplers"),
    (comfyui_outside_host, NODE, "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import folder_paths"),
    (comfyui_outside_host, "nodes/shared/a.py", "import importlib\nimportlib.import_module('comfy.utils')"),
    (comfyui_outside_host, "nodes/__init__.py", "from server import PromptServer"),
    (comfyui_outside_host, "__init__.py", "import latent_preview"),
    (comfyui_outside_host, "pipeline_core/a.py", "import nodes"),
    (core_outwards, CORE, "from ...nodes.host import running"),
    (core_outwards, CORE, "import comfy_api.latest"),
    (core_outwards, CORE, "def f():\n    import training.dit"),
    (arrows_upwards, CORE, "from ..job.run import run"),
    (arrows_upwards, CORE, "from .. import metrics"),
    (arrows_upwards, CORE, "def f():\n    from pipeline_core.models import families"),
    (arrows_upwards, "pipeline_core/longvideo/a.py", "from ..metrics.report import collect"),
    (arrows_upwards, "pipeline_core/metrics/a.py", "from ..longvideo import plan_windows"),
    (arrows_upwards, "pipeline_core/attic/a.py", "from ..errors import UserError"),
    (node_arrows, NODE, "from .calibrate import Calibrate"),
    (node_arrows, NODE, "from ..loaders.demo import Demo"),
    (node_arrows, NODE, "from .. import loaders"),
    (node_arrows, "nodes/shared/a.py", "from ..noise import invert"),
    (node_arrows, "nodes/host/windows/a.py", "from ...shared import widgets"),
    (long_files, "tests/a.py", "x = 1\n" * (LONGEST + 1)),
    (bad_node_ids, NODE, 'a = Schema(node_id="VideoRealismA")\nb = Schema(node_id="VideoRealismA")'),
    (bad_node_ids, NODE, 'Schema(node_id="DDIMInvert")'),
    (graphs_without_api_form, "workflows/a.json", "{}"),
    (graphs_without_api_form, "workflows/api/a.api.json", "{}"),
    (scripts_that_import_scripts, "scripts/b.py", "from a import main"),
    (names_that_say_nothing, NODE, "told = 1"),
    (names_that_say_nothing, CORE, "def f(x):\n    x.made = x"),
    (names_that_say_nothing, CORE, "for a, (b, found) in c:\n    pass"),
    (names_that_say_nothing, CORE, "f = lambda *, given: 1"),
    (names_that_say_nothing, CORE, "class A:\n    kept: bool"),
    (names_that_say_nothing, "nodes/shared/a.py", "class A:\n    def found(self):\n        pass"),
    (names_that_say_nothing, "pipeline_core/longvideo/a.py", "with a as made:\n    pass"),
    (names_that_say_nothing, "pipeline_core/metrics/objects.py", "def f(given):\n    kept = given"),
]
KEPT = {
    "__init__.py": "def entry():\n    from comfy_api.latest import ComfyExtension\n    from .nodes import all_nodes",
    NODE: "from comfy_api.latest import io\nfrom ..host import running\nfrom ..shared.widgets import a\n"
    "from ...pipeline_core.diffusion import invert\nNODE = Schema(node_id='VideoRealismX')",
    "nodes/noise/__init__.py": "from .invert import Invert",
    "nodes/host/windows/a.py": "import comfy.sample, nodes\nfrom ..running import b\nfrom ....pipeline_core import job",
    "nodes/shared/widgets.py": "from .checks import c\nfrom ..host.paths import d",
    CORE: "import torch\nfrom ..errors import UserError\nfrom .sigmas import e\nfrom .. import __version__\n"
    "given_frames = 'told', e.found, e(kept=1)  # made",
    "pipeline_core/__init__.py": "__version__ = '1'",
    "pipeline_core/job/run.py": "from ..longvideo.stream import f\nfrom ..diffusion import invert",
    "scripts/a.py": "from client.graph import read\n" + "x = 1\n" * (LONGEST - 1),
    "workflows/b.json": "{}",
    "workflows/api/b.api.json": "{}",
}


@pytest.fixture
def house(tmp_path):
    """A small house that keeps every rule."""
    for name, text in KEPT.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_house_that_keeps_the_rules_passes(house, rule):
    assert list(rule(house)) == []


@pytest.mark.parametrize("rule, name, text", PLANTED)
def test_a_planted_violation_is_caught(house, rule, name, text):
    (house / name).parent.mkdir(parents=True, exist_ok=True)
    (house / name).write_text(text)
    assert len(list(rule(house))) == 1


def test_every_rule_has_a_planted_violation():
    assert {rule for rule, _, _ in PLANTED} == set(RULES)
