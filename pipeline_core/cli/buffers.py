"""Make the buffers folder of a clip: from a simulator's depth, semantic and instance pictures, or by models."""

import argparse
from dataclasses import replace
from pathlib import Path

from ..conditions.layouts import AUTO, Recording, find_recording
from ..conditions.recordings import DEPTH_SOURCES, INSTANCE_SOURCES, SEMANTIC_SOURCES, import_recording
from ..errors import UserError
from ..perception.estimators import load_estimators
from .files import add_device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("clip", type=Path, help="the video that the pictures belong to, one picture per frame")
    parser.add_argument("-o", "--output", type=Path, help="buffers folder to write; default: CLIP_buffers")
    parser.add_argument(
        "--recording",
        type=Path,
        help="folder of a whole recording: CARLA's own, its Cosmos example's, Virtual KITTI 2 or SYNTHIA. What "
        "--depth, --semantic and --instance name goes before what is found there",
    )
    parser.add_argument("--camera", default="", help="part of the name that tells the recording's cameras apart")
    parser.add_argument("--depth", type=Path, help="folder or video of depth pictures")
    parser.add_argument(
        "--depth-format",
        choices=(AUTO, *DEPTH_SOURCES),
        help="carla: the raw 24-bit picture; default: that, or with --recording what the first picture looks like",
    )
    parser.add_argument(
        "--depth-scale", type=float, default=1.0, help="metres of one unit: of a code with png16, of a value with exr"
    )
    parser.add_argument("--semantic", type=Path, help="folder or video of semantic pictures; default: --instance")
    parser.add_argument(
        "--semantic-format",
        choices=(AUTO, *SEMANTIC_SOURCES),
        help="raw tags of CARLA 0.9.14 and later or of 0.9.13 and earlier, or painted pictures; default: 0.9.14, or "
        "with --recording what the first picture looks like",
    )
    parser.add_argument("--instance", type=Path, help="folder of CARLA's raw instance pictures")
    parser.add_argument("--instance-format", default="carla", choices=INSTANCE_SOURCES, help="whose instance pictures")
    parser.add_argument(
        "--depth-model", type=Path, help="transformers folder, such as Depth Anything V2, where there is no --depth"
    )
    parser.add_argument("--segmentation-model", type=Path, help="likewise where there is no --semantic or --instance")
    parser.add_argument(
        "--smooth",
        type=int,
        default=0,
        help="steady the model's depth over this many frames before and after; 0 is off, 2 to 4 is usual",
    )
    add_device(parser)


def run(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    if not options.clip.is_file():
        raise UserError(f"The video {options.clip} does not exist: give the path of an existing video file.")
    folder = options.output or options.clip.with_name(f"{options.clip.stem}_buffers")
    told = _recording(options)
    estimators = load_estimators(options.depth_model, options.segmentation_model, options.device)
    if options.smooth and (estimators.depth is None or told.depth is not None):
        raise UserError("--smooth steadies the depth of --depth-model, which is not used here: leave it out.")
    with tqdm(desc="buffers", unit="frame", dynamic_ncols=True) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        made = import_recording(
            folder, options.clip, told.depth, told.semantic, told.instance, told.depth_format, told.semantic_format,
            progress, options.depth_scale, told.instance_format, estimators, options.smooth,
        )  # fmt: skip
    print(f"{folder} holds {', '.join(made.channels)} of {made.frames} frames.")


def _recording(options: argparse.Namespace) -> Recording:
    """What the recording's folder holds, and over it what the options name."""
    named = {name: getattr(options, name) for name in ("depth", "semantic", "instance")}
    named = {name: path for name, path in named.items() if path is not None}
    formats = {"depth_format": options.depth_format, "semantic_format": options.semantic_format}
    if options.recording is not None:
        found = find_recording(options.recording, options.camera, *(value or AUTO for value in formats.values()))
    else:
        formats = {name: value for name, value in formats.items() if value is not None}
        if AUTO in formats.values():
            raise UserError("The format auto needs --recording: name the format, or the recording's folder.")
        found = Recording(**formats)
    if "instance" in named:
        named["instance_format"] = options.instance_format
    return replace(found, **named)
