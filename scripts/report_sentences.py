"""The sentences that our nodes show in their result boxes, in English and in the languages of web/reports.

    python scripts/report_sentences.py

says what is left to translate. English is read from the code that writes the sentences; what differs from run to run
is {} in them. Texts of errors are none, and neither are the names of figures, the same in every language.
web/reports/LANGUAGE.json holds {English: translation}, where {0} is what stands in the first {} and {1+} what stands
in the second, itself a sentence or a list of them. The frontend's part of this pack (web/js/sentences.js) turns what
the boxes show; outputs, history and the API stay English. The exit status is 1 where anything is left to do.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from graphs.languages import LANGUAGES

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / "web" / "reports"
# file -> functions and constants that hold sentences for a box; a new one belongs here.
WRITTEN_IN = {
    "nodes/conditions/caption_video.py": ("execute",),
    "nodes/conditions/control_detector.py": ("execute",),
    "nodes/conditions/control_stack.py": ("execute", "_reports"),
    "nodes/conditions/simulator_buffers.py": ("_said",),
    "nodes/conditions/structure_maps.py": ("execute",),
    "nodes/conditions/track_objects.py": ("execute",),
    "nodes/host/families.py": ("family_remarks",),
    "nodes/host/windows/tiles.py": ("tile_lines",),
    "nodes/loaders/load_clip.py": ("execute",),
    "nodes/loaders/load_transfer1_control.py": ("execute",),
    "nodes/loaders/load_video_model.py": ("execute",),
    "nodes/loaders/model_control.py": ("TOLD", "execute"),
    "nodes/loaders/model_preset.py": ("family_text",),
    "nodes/metrics/compare.py": ("execute",),
    "nodes/metrics/realism_report.py": ("execute",),
    "nodes/sampling/long_video_sampler.py": ("execute",),
    "nodes/shared/figures.py": ("WORDS", "node_text", "object_text"),
    "nodes/shared/long_video.py": ("plan_lines",),
    "nodes/shared/reports.py": ("inversion_text", "start_text", "calibration_text", "job_text"),
    "nodes/video/batch_folder.py": ("execute", "_text"),
    "nodes/video/chunk_plan.py": ("plan_report",),
    "nodes/video/chunk_stitcher.py": ("execute",),
    "nodes/video/detail_transfer.py": ("execute",),
    "nodes/video/enhance_video_file.py": ("execute", "__init__", "_tell"),
    "nodes/video/save_to_dataset.py": ("execute",),
    "pipeline_core/diffusion/calibration.py": ("calibrate_noise",),
    "pipeline_core/diffusion/invert.py": ("invert", "_grid_notes"),
    "pipeline_core/job/contradiction.py": ("contradiction_warnings",),
    "pipeline_core/job/hold.py": ("hold_note",),
    "pipeline_core/job/own_maps.py": ("with_own_networks",),
    "pipeline_core/job/plan.py": (
        "_ESTIMATED", "prepare", "_with_flow", "_control_weights", "_estimated", "_what_gives", "_simdrop_cost",
    ),
    "pipeline_core/job/resume.py": ("window",),
    "pipeline_core/longvideo/stitch.py": ("window_clips",),
    "pipeline_core/models/families.py": ("windows",),
    "pipeline_core/models/folders/loading.py": ("WHOLE_MAPS", "load_video_model"),
    "pipeline_core/models/folders/memory.py": ("sentence",),
    "pipeline_core/models/folders/precision.py": ("choose_precision",),
    "pipeline_core/video/facts.py": ("said", "examine", "notes", "_left_out"),
    "pipeline_core/video/kept.py": ("not_kept",),
}  # fmt: skip
NO_REPORTS = {"UserError", "missing_output", "check_rate", "refuse_damage", "clip_input"}  # what is called with a text
SECTIONS = {"to the source", "to the reference"}  # of figures: keys, as in the JSON
HOLE = re.compile(r"\{[^{}]*\}")


def sentences() -> dict[str, str]:
    """{English template: the file that holds it}, in the order of the table."""
    found = {}
    for file, names in WRITTEN_IN.items():
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        missing = set(names)
        for node in ast.walk(tree):
            if name_of(node) in names:
                missing.discard(name_of(node))
                for text in _texts(node):
                    found.setdefault(text, file)
        if missing:
            raise ValueError(f"{file} has no {', '.join(sorted(missing))}: bring WRITTEN_IN up to date.")
    return found


def name_of(node: ast.AST) -> str | None:
    """Of a function or a constant."""
    if isinstance(node, ast.FunctionDef):
        return node.name
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return None


def _texts(node: ast.AST) -> Iterator[str]:
    """The templates below a node, line by line: of whole strings, and of strings inside their holes."""
    if isinstance(node, ast.FunctionDef):
        for statement in node.body[ast.get_docstring(node) is not None :]:
            yield from _texts(statement)
        return
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "join":
        between = _joined(node.func.value) or ""
        yield from [between] if re.search("[a-z]", between) else []
        node = ast.Tuple(node.args, ast.Load())
    if isinstance(node, ast.Raise) or (isinstance(node, ast.Call) and _called(node) in NO_REPORTS):
        return
    whole = _joined(node)
    if whole is not None:
        yield from filter(_is_sentence, (re.sub(r"(\{\})+", "{}", line).strip(", ") for line in whole.split("\n")))
    for child in _inside(node):
        yield from _texts(child)


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _joined(node: ast.AST) -> str | None:
    """A string with {} for what is not known, of a literal, an f-string or a sum that has one; None for others."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return HOLE.sub("{}", node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        sides = [_joined(side) for side in (node.left, node.right)]
        return None if sides == [None, None] else "".join("{}" if side is None else side for side in sides)
    return None


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    """What may hold strings of its own: not the pieces of the same string, and not what joins a list."""
    if isinstance(node, ast.JoinedStr):
        yield from (part.value for part in node.values if isinstance(part, ast.FormattedValue))
    elif isinstance(node, ast.BinOp) and _joined(node) is not None:
        for side in (node.left, node.right):
            yield from _inside(side) if _joined(side) is not None else [side]
    elif isinstance(node, ast.Subscript):
        yield node.value
    else:
        yield from ast.iter_child_nodes(node)


def _is_sentence(text: str) -> bool:
    """Words with a space between them, or beside what is put in."""
    return " " in text and text not in SECTIONS and re.search(r"[A-Za-z]{2}", HOLE.sub("", text)) is not None


def translations(language: str) -> dict[str, str]:
    """{English: translation}."""
    return json.loads((REPORTS / f"{language}.json").read_text(encoding="utf-8"))


def left_to_do() -> list[str]:
    """What a language lacks, and what it has that no node says any more."""
    said, lines = sentences(), []
    for language in LANGUAGES:
        have = translations(language)
        lines += [f"missing in {language}: {text} ({file})" for text, file in said.items() if text not in have]
        lines += [f"stale in {language}: {text}" for text in have if text not in said]
    return lines


if __name__ == "__main__":
    left = left_to_do()
    print("\n".join(left) or "nothing left to translate")
    sys.exit(1 if left else 0)
