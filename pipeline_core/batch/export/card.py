"""The data set's README.md: what is in it, where it comes from, how it is read, what to know before training."""

from __future__ import annotations

from ..rows import REJECTED
from .selection import Selection
from .things import NAMES

_TASKS = {
    "coco": ("object-detection", "image-segmentation"),
    "youtube-vis": ("image-segmentation",),
    "cityscapes": ("image-segmentation",),
    "yolo": ("object-detection", "image-segmentation"),
    "videofolder": ("video-classification",),
    "webdataset": ("object-detection", "image-segmentation"),
}
_HUB_SPLITS = {"val": "validation"}


def card(format: str, how_to_read: str, chosen: Selection, counts: dict[str, dict[str, int]]) -> str:
    """The card as Markdown, with the head that Hugging Face's hub reads.

    how_to_read: the format's own part; counts: split -> {"clips", "frames", and objects by name}.
    """
    scenes = chosen.scenes
    recordings = len({scene.row["id"] for scene in scenes})
    variants = sorted({scene.row["variant"] for scene in scenes})
    models = sorted({scene.model for scene in scenes})
    seen = [name for name in NAMES if any(name in split for split in counts.values())]
    rows = [
        [split, *(f"{count.get(name, 0)}" for name in ("clips", "frames", *seen))] for split, count in counts.items()
    ]
    taken = sum(scene.row["status"] == REJECTED for scene in scenes)
    parts = [
        _head(format, counts),
        "# Enhanced driving clips\n",
        f"Simulated driving video made photoreal by ComfyUI-VideoRealism, with its simulator's labels, as {format}. "
        f"{recordings} recordings, {len(scenes)} clips ({', '.join(variants)}), made with the model "
        f"{', '.join(models)}.\n",
        "## What is in it\n",
        _table(["split", "clips (variants)", "frames", *seen], rows),
        "\nA recording and all its variants are in one split. Objects are counted in every frame.\n",
        "## How it is read",
        how_to_read,
        "## Labels\n",
        "They are the simulator's, not drawn by anybody: masks, boxes, classes, depth and traffic light states are of "
        "the source's frame, to the pixel. Where the enhanced clip has another size than its source, labels are those "
        "at the middle of each of its pixels. An enhanced object can differ from its mask along its border, and can be "
        "lost: figures and verdict of every clip say how much was kept.",
        "\nThe pictures `instance`, `semantic` and `depth` are lossless PNG in CARLA's encodings: tag in red and id in "
        "green + 256 blue; tag in red; metres = 1000 (R + 256 G + 65536 B) / (2^24 - 1), 1000 being the sky.\n",
        "Objects of every size are there, down to one pixel: leave out what is too small for you by `area`.\n",
        "## Where it comes from\n",
        "`provenance.jsonl` has a line for every clip: source, model, settings, seed, prompts, figures, the "
        "gate's verdict and hashes of input, settings, model, code and output.",
        f"\nThe gate rejected {chosen.rejected} results, which are not in it."
        if not taken
        else f"\n{taken} of its clips were rejected by the gate; their `status` says so.",
    ]
    if chosen.left_out:  # the reasons name folders of the machine, which are no affair of who reads this
        parts.append(f"\n{len(chosen.left_out)} results could not be taken; the export said why of each.")
    parts.append("\n## Licence\n\nNot stated: it depends on the recordings, their assets and the model.\n")
    return "\n".join(parts)


def _head(format: str, counts: dict) -> str:
    lines = ["---", "task_categories:", *(f"- {task}" for task in _TASKS[format])]
    lines += ["tags:", "- synthetic", "- driving", "- sim2real", "- carla"]
    paths = {"videofolder": "{}/*", "webdataset": "{}-*.tar"}
    if format in paths:
        lines += ["configs:", "- config_name: default", "  data_files:"]
        for split in counts:
            name = _HUB_SPLITS.get(split, split)
            lines += [f"  - split: {name}", f"    path: {paths[format].format(split)}"]
    return "\n".join([*lines, "---", ""])


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
