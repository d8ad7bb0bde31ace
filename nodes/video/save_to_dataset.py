"""Save To Dataset: a graph's result into the folder that pages and exports are made of."""

import json
from collections import Counter

from comfy_api.latest import io, ui

from ...pipeline_core.batch.checks import CHECKS
from ...pipeline_core.batch.judging import load_gate
from ...pipeline_core.batch.page import write_page
from ...pipeline_core.batch.rules import GateRules, parse_limits
from ...pipeline_core.doors import parse_json
from ...pipeline_core.metrics.report import check_report
from ..host.jobs import compute_device
from ..shared.clips import clip_input
from ..shared.packages import require_packages
from ..shared.schema import search_words
from ..shared.tickets import read_ticket
from ..shared.widgets import lines_input


class SaveToDataset(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismSaveToDataset",
            display_name="Save To Dataset",
            category="video realism/video",
            description="Writes the result of a clip from Batch Folder into the results' folder, with the graph that "
            "made it, and brings the page to look at up to date. The command export then makes a COCO, YouTube-VIS, "
            "Cityscapes, YOLO, video folder or WebDataset of it, with the labels of the simulator.",
            inputs=[
                io.Image.Input("images", tooltip="The enhanced frames: whole, in the clip's shape, from its first on."),
                io.String.Input("clip", force_input=True, tooltip="The clip output of Batch Folder."),
                io.String.Input(
                    "figures",
                    optional=True,
                    force_input=True,
                    tooltip="Figures about the result: the report output of Video Metrics or Realism Report.",
                ),
                io.Boolean.Input(
                    "accept",
                    default=True,
                    optional=True,
                    tooltip="Off: the result is kept to look at but is no part of exports. Can be wired.",
                ),
                io.Boolean.Input(
                    "gate",
                    default=True,
                    optional=True,
                    tooltip="Measure the result against its clip and reject it where a figure is beyond its limit (a "
                    "lamp of another colour, a lost car, flicker, ...), as the command enhance-folder does. The row "
                    "says why.",
                ),
                lines_input(
                    "limits",
                    "Limits of the gate that are not the usual ones, one a line, such as edge_f1 = 0.5 or "
                    "critic = off.",
                    CHECKS,
                ),
            ],
            outputs=[io.String.Output(display_name="row", tooltip="What was written about the result, as JSON.")],
            hidden=[io.Hidden.prompt],
            is_output_node=True,
            **search_words("dataset", "save", "batch", "coco", "yolo", "export", "training data"),
        )

    @classmethod
    def execute(cls, images, clip, figures=None, accept=True, gate=True, limits="") -> io.NodeOutput:
        require_packages("av", "kornia")
        frames = clip_input(images, "images")
        rules = GateRules(parse_limits(limits))
        batch, source = read_ticket(clip)
        numbers = {} if figures is None else _figures(figures)
        graph = {name: {key: node[key] for key in ("class_type", "inputs")} for name, node in cls.hidden.prompt.items()}
        judge = load_gate(rules if gate else None, device=str(compute_device()))
        row = batch.save(batch.task(source), frames.cpu(), graph, numbers, bool(accept), judge)
        page = write_page(batch.out)
        said = row["status"] if row["reason"] is None else f"{row['status']}: {row['reason']}"
        text = f"{batch.out.name}/{row['output']}\n{said}\n{page.name} in {batch.out.name} shows all results"
        return io.NodeOutput(json.dumps(row), ui=ui.PreviewText(text))


def _figures(text: str) -> dict[str, float]:
    """The figures of a report by name; where two sections have one of a name, with the section before it."""
    change = "connect the report output of Video Metrics or Realism Report to figures"
    sections = check_report(parse_json(text, "figures", change), "figures", change)["figures"]
    measured = [
        (section, name, figure["value"])
        for section, figures in sections.items()
        for name, figure in figures.items()
        if figure["value"] is not None
    ]
    names = Counter(name for _, name, _ in measured)
    return {name if names[name] == 1 else f"{section} {name}": value for section, name, value in measured}
