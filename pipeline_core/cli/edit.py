"""Edit a clip by an instruction: INPUT.mp4 "make it night" -o OUTPUT.mp4, with one model for all clips."""

import argparse
from dataclasses import replace
from pathlib import Path

from ..conditions.buffers import find_buffers
from ..job.settings import edit_settings
from ..job.table import SETTINGS
from ..models.folders.loading import edit_folder, load_video_model
from ..models.folders.lora import parse_lora
from ..models.folders.preset_file import read_preset
from ..perception.estimators import load_estimators
from .enhance import (
    add_care,
    add_computing,
    add_flow,
    add_lora,
    add_setting,
    carry_out,
    check_outputs,
    checked_input,
    given_settings,
)

# Settings of the job that an edit may be given; the scale of the words is called by its own name.
OFFERED = (
    "video_scale", "negative_prompt", "start", "inversion_prompt", "steps", "seed", "handover", "handover_share",
    "stitch", "detail",
)  # fmt: skip
# What is said of those that mean something more special here, or have another default.
HELP = {
    "video_scale": "how strongly to follow the clip, 1 is neutral",
    "negative_prompt": "an instruction to move away from",
    "start": "inversion: from the noise that the model finds in the clip; noise: fresh, as published",
    "inversion_prompt": "with start inversion: an instruction that asks for what the clip is already",
    "handover": "what a window of a long clip gets from the one before; default: none, they are crossfaded; with start "
    "noise motion, along the clip's, where that can be estimated, else mean",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=Path, help="the clip to edit")
    parser.add_argument("instruction", help='what to change, such as "make it night"')
    parser.add_argument("-o", "--output", type=Path, required=True, help="the edited clip (.mp4, .mov, .mkv)")
    parser.add_argument(
        "--model",
        type=Path,
        help="folder of a model that edits by instruction, in diffusers format; default: models/embedded_edit",
    )
    add_lora(parser)
    for name in OFFERED:
        add_setting(parser, name, replace(SETTINGS[name], help=HELP.get(name, SETTINGS[name].help)))
    parser.add_argument(
        "--text-scale", dest="cfg", type=float, help="how strongly to follow the instruction, 1 is neutral"
    )
    parser.add_argument(
        "--buffers", type=Path, help="a simulator's, for its optical flow; default: INPUT_buffers if it is there"
    )
    add_flow(parser)
    add_computing(parser)
    add_care(parser)
    # What else of `enhance` is neither asked for nor read here.
    others = [name for name in SETTINGS if name not in (*OFFERED, "cfg")]
    others += ["depth_model", "segmentation_model", "caption_model", "simdrop_reference", "clip_model"]
    parser.set_defaults(**dict.fromkeys(others))


def run(options: argparse.Namespace) -> None:
    folder = edit_folder(options.model)
    settings = edit_settings(options.instruction, read_preset(folder), given_settings(options))
    check_outputs(options)
    loras = [parse_lora(text) for text in options.lora]
    facts, keep = checked_input(options)
    buffers = find_buffers(options.input, options.buffers)
    estimators = load_estimators(device=options.device, flow=options.flow_model)
    tell = print if options.model is not None else None
    model = load_video_model(folder, options.device, options.precision, options.weights, tell, loras)
    carry_out(options, "edit", facts, keep, model, settings, buffers, estimators)
