"""Realism Report: every figure of the pack in one go, with plots, worst frames and files to keep."""

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from comfy_api.latest import io, ui

from ...pipeline_core.doors import open_picture, parse_json, writable
from ...pipeline_core.errors import UserError
from ...pipeline_core.metrics.compare import compare_frames
from ...pipeline_core.metrics.critic import EMBEDDED_CRITIC, load_critic
from ...pipeline_core.metrics.extras import Extras
from ...pipeline_core.metrics.judge import load_judge
from ...pipeline_core.metrics.pictures import write_report
from ...pipeline_core.metrics.report import check_report, file_hashes, format_runs, format_table
from ...pipeline_core.metrics.seams import check_seams, parse_seams
from ...pipeline_core.metrics.windows import load_video_encoder
from ...pipeline_core.perception.estimators import load_estimators
from ...pipeline_core.perception.flow import estimated_flow
from ...pipeline_core.perception.own import NETWORKS, own_folder
from ...pipeline_core.perception.text_image import load_text_image
from ..host.encoders import vision_encoder
from ..host.jobs import compute_device, progress_bar
from ..host.paths import (
    DEPTH,
    METRICS,
    NONE,
    SEGMENTATION,
    file_menu,
    folder_menu,
    new_output_folder,
    optional_file,
    optional_folder,
)
from ..shared.clips import clip_input
from ..shared.figures import object_text
from ..shared.object_detectors import detector_folders, detector_inputs, object_detector
from ..shared.object_masks import GROUPS, mask_buffers, mask_inputs
from ..shared.packages import require_packages
from ..shared.schema import advanced, search_words

FOLDERS = {
    "depth_model": (DEPTH, "Compares the depth of both clips: a transformers folder in models/depth_estimation."),
    "segmentation_model": (
        SEGMENTATION,
        "Compares the masks of both clips and finds objects in them: a folder in models/semantic_segmentation.",
    ),
    "clip_model": (METRICS, "CLIP-IQA, quality in words: a CLIP folder with its texts in models/metrics."),
    "pickscore": (METRICS, "PickScore, what people would choose for the prompt: its folder in models/metrics."),
    "video_model": (METRICS, "FVD to the real frames, taken as one clip: a VideoMAE folder in models/metrics."),
    "judge": (METRICS, "A vision-language model that is asked which looks more real: its folder in models/metrics."),
}


class RealismReport(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismReport",
            display_name="Realism Report",
            category="video realism/metrics",
            description="Measures everything that can be measured on an enhanced clip and writes a folder with it: a "
            "table, plots over the frames, the worst frames with heat maps, pictures for a slider, JSON and CSV. Only "
            "the two clips are needed; every further input adds figures, and what is missing is said.",
            inputs=[
                io.Image.Input("source", tooltip="The clip before."),
                io.Image.Input("output", tooltip="The clip after, of the same number and size of frames."),
                io.Image.Input("reference", optional=True, tooltip="What the output should look like, if it is known."),
                io.Image.Input(
                    "real_frames",
                    optional=True,
                    tooltip="Frames of real footage, of any size, the more the better: the output's distance to them "
                    "(Frechet, KID, CMMD) is measured as clip_vision sees it.",
                ),
                io.ClipVision.Input("clip_vision", optional=True, tooltip="DINOv2 or CLIP, from Load CLIP Vision."),
                *mask_inputs("source"),
                io.String.Input(
                    "made_with",
                    optional=True,
                    force_input=True,
                    tooltip="A text about how the output was made, such as the report of the node that made it: "
                    "settings and seeds go into this report.",
                ),
                io.String.Input(
                    "earlier_runs",
                    optional=True,
                    force_input=True,
                    tooltip="The runs output of another Realism Report: table and plots show both side by side.",
                ),
                io.String.Input("name", default="run", tooltip="What this run is called in table and plots."),
                io.String.Input(
                    "filename_prefix", default="realism_report", tooltip="Folder in ComfyUI's output, then a number."
                ),
                io.String.Input(
                    "seams",
                    default="",
                    tooltip="Frame numbers at which windows of a long clip begin, such as 48,96.",
                    **advanced(io.String.Input),
                ),
                io.Boolean.Input(
                    "critic",
                    default=False,
                    tooltip="Let the embedded critic judge realism. It knows this pack's own renders only.",
                ),
                io.Boolean.Input(
                    "estimate_flow",
                    default=False,
                    tooltip="Estimate the source's motion (scikit-image) for flicker, warped error and seams: slow.",
                    **advanced(io.Boolean.Input),
                ),
                *(
                    io.Combo.Input(
                        name,
                        options=folder_menu(kind),
                        default=NONE,
                        tooltip=tooltip,
                        **advanced(io.Combo.Input),
                    )
                    for name, (kind, tooltip) in FOLDERS.items()
                ),
                io.Combo.Input(
                    "lpips",
                    options=file_menu(METRICS),
                    default=NONE,
                    tooltip="LPIPS' weights, a safetensors file in models/metrics; see the help page.",
                    **advanced(io.Combo.Input),
                ),
                io.String.Input(
                    "prompt",
                    default="",
                    multiline=True,
                    tooltip="What the output should show, for PickScore.",
                    **advanced(io.String.Input),
                ),
                *detector_inputs(),
                io.Boolean.Input(
                    "own_models",
                    default=False,
                    optional=True,
                    tooltip="Let this pack's own networks see depth, masks and objects where no model is chosen. They "
                    "know its own world alone (Demo Drive).",
                    **advanced(io.Boolean.Input),
                ),
            ],
            outputs=[
                io.Image.Output(display_name="plots", tooltip="One picture: a plot over the frames for every figure."),
                io.Image.Output(
                    display_name="worst frames",
                    tooltip="Up to three: source, output, reference and a heat map of the difference.",
                ),
                io.Image.Output(display_name="side by side", tooltip="One picture: five frames of every clip."),
                io.String.Output(display_name="table", tooltip="The figures as text, several runs in columns."),
                io.String.Output(display_name="report", tooltip="Everything about this run as JSON."),
                io.String.Output(display_name="runs", tooltip="This run and the earlier ones, for another report."),
            ],
            is_output_node=True,
            **search_words(
                "metrics", "report", "evaluate", "fid", "kid", "lpips", "benchmark", "plot", "csv", "quality"
            ),
        )

    @classmethod
    def execute(
        cls, source, output, name, filename_prefix, seams, critic, estimate_flow, lpips, prompt, reference=None,
        real_frames=None, clip_vision=None, made_with=None, earlier_runs=None, detection_model=NONE,
        tracking_model=NONE, own_models=False, **more,
    ) -> io.NodeOutput:  # fmt: skip
        chosen = {key: optional_folder(kind, more[key], key) for key, (kind, _) in FOLDERS.items()}
        chosen |= detector_folders(detection_model, tracking_model)
        weights = optional_file(METRICS, lpips, "lpips")
        if own_models:
            chosen |= {key: chosen[key] or own_folder(network) for key, network in NETWORKS.items()}
        require_packages("kornia", *(["transformers"] if any(chosen.values()) else []))
        earlier = read_runs(earlier_runs)
        folder, subfolder = new_output_folder(filename_prefix)
        writable(folder, "filename_prefix", folder=True)
        clips = [clip_input(source, "source"), clip_input(output, "output")]
        clips.append(None if reference is None else clip_input(reference, "reference"))
        marks = parse_seams(seams)
        check_seams(marks, len(clips[1]))
        extras = told_extras(chosen, estimate_flow, weights, marks, prompt)
        if clip_vision is not None:
            extras["encoder"] = vision_encoder(clip_vision)
        if real_frames is not None:
            extras["real"] = clip_input(real_frames, "real_frames")
        models = {**chosen, "lpips": weights, "critic": EMBEDDED_CRITIC if critic else None}
        about = {"models": file_hashes(models), **({"made_with": as_data(made_with)} if made_with else {})}
        report = compare_frames(
            *clips, load_critic(device=compute_device()) if critic else None, progress_bar(),
            mask_buffers({group: more.get(group) for group in GROUPS}, clips[0]), Extras(**extras), about,
        )  # fmt: skip
        name = unused(name.strip() or "run", earlier)
        files = write_report(folder, report, *clips, seams=extras["seams"], name=name, earlier=earlier)
        runs = {**earlier, name: report}
        worst = [path for path in files if path.name.startswith("worst_")]
        pictures = {path.name: path for path in files}
        shown = [{"filename": n, "subfolder": subfolder, "type": "output"} for n in ("side_by_side.png", "plots.png")]
        text = format_runs(runs) if earlier else object_text(report)
        return io.NodeOutput(
            picture(pictures.get("plots.png")),
            torch.cat([picture(path) for path in worst]) if worst else picture(None),
            picture(pictures["side_by_side.png"]),
            format_runs(runs) if earlier else format_table(report),
            json.dumps(report),
            json.dumps(runs),
            ui={**ui.PreviewText(f"{text}\nwritten to output/{subfolder}").as_dict(), "images": shown},
        )


def told_extras(chosen: dict, estimate_flow: bool, lpips, seams: tuple[int, ...], prompt: str) -> dict:
    """Arguments of `Extras` for the models that were chosen, all loaded."""
    device = compute_device()
    if chosen["pickscore"] and not prompt.strip():
        raise UserError("pickscore is chosen but prompt is empty: say in prompt what the output should show.")
    models = load_estimators(chosen["depth_model"], chosen["segmentation_model"], device)
    if estimate_flow:
        if find_spec("skimage") is None:
            raise UserError(
                "estimate_flow needs scikit-image, which is not installed: run pip install scikit-image with ComfyUI's "
                "Python, or switch estimate_flow off."
            )
        models = replace(models, flow=estimated_flow)
    load = {
        "video_encoder": ("video_model", load_video_encoder),
        "text_image": ("clip_model", load_text_image),
        "pick": ("pickscore", load_text_image),
        "judge": ("judge", load_judge),
    }
    loaded = {key: loader(chosen[name], device) for key, (name, loader) in load.items() if chosen[name]}
    loaded["detect"] = object_detector(chosen, str(device))
    return {"estimators": models, "lpips": lpips, "seams": seams, "prompt": prompt, "device": device, **loaded}


def read_runs(text: str | None) -> dict[str, dict]:
    """The runs output of another report; UserError for any other text."""
    change = "connect the runs output of another Realism Report to earlier_runs"
    runs = parse_json(text, "earlier_runs", change) if text else {}
    return {name: check_report(run, f"The run {name!r} of earlier_runs", change) for name, run in runs.items()}


def as_data(text: str):
    """What a JSON text holds, or the text itself."""
    try:
        return parse_json(text, "made_with", "connect a report to made_with", None)
    except UserError:
        return text


def unused(name: str, taken: dict) -> str:
    """The name, with a number behind it where another run has it."""
    number = 2
    while name in taken:
        name, number = f"{name.rsplit(' #', 1)[0]} #{number}", number + 1
    return name


def picture(path: Path | None):
    """A PNG as an IMAGE; a single dark pixel where there is none."""
    if path is None:
        return torch.zeros(1, 1, 1, 3)
    with open_picture(path, "run the report again") as held:
        return torch.from_numpy(np.array(held.convert("RGB"))).float()[None] / 255
