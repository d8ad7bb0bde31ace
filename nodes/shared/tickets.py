"""What Batch Folder hands to Save To Dataset: which clip of which folder is worked on, as a text."""

import json

from ...pipeline_core.batch.clips import Source
from ...pipeline_core.batch.graph_batch import GraphBatch, open_batch
from ...pipeline_core.doors import parse_json
from ...pipeline_core.errors import UserError
from ..host.paths import clip_folders, output_folder

CONNECT = "connect the clip output of Batch Folder"


def ticket(folder: str, output: str, variant: str, draw: int, clip_id: str) -> str:
    return json.dumps({"folder": folder, "output": output, "variant": variant, "draw": draw, "clip": clip_id})


def read_ticket(text: str) -> tuple[GraphBatch, Source]:
    """The batch and the clip that a ticket names; UserError for another text, and for folders that are gone."""
    held = parse_json(text, "clip", CONNECT)
    kinds = {"folder": str, "output": str, "variant": str, "draw": int, "clip": str}
    if not all(isinstance(held.get(name), kind) for name, kind in kinds.items()) or held["draw"] < 0:
        raise UserError(f"clip is not what Batch Folder gives: {CONNECT}.")
    batch = graph_batch(held["folder"], held["output"], held["variant"], held["draw"])
    for source in batch.sources:
        if source.id == held["clip"]:
            return batch, source
    raise UserError(f"The clip {held['clip']} is gone from {held['folder']}: put it back.")


def graph_batch(folder: str, output: str, variant: str, draw: int) -> GraphBatch:
    """The batch that a graph's inputs name; UserError for folders outside ComfyUI's own, and as `open_batch`."""
    path = clip_folders().get(folder)
    if path is None:
        raise UserError(f"{folder} is no folder in ComfyUI's input folder: choose one in the input folder.")
    return open_batch(path, output_folder(output), variant, draw)
