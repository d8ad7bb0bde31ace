"""Make the buffers folder of a clip: from a simulator's depth, semantic and instance pictures, or by models."""

import argparse
from dataclasses import replace
from pathlib import Path

from ..conditions.buffers import buffers_beside
from ..conditions.check import check_recording, described
from ..conditions.layouts import CHANNELS, Recording, find_recording, recognised_recording
from ..conditions.recognised import AUTO
from ..conditions.recordings import DEPTH_SOURCES, INSTANCE_SOURCES, SEMANTIC_SOURCES, import_recording
from ..doors import check_paths, writable
from ..errors import UserError
from ..perception.estimators import load_estimators
from .files import add_device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "clip", type=Path, nargs="?", help="the video that the pictures belong to, one picture per frame"
    )
    parser.add_argument(
        "--check",
        type=Path,
        metavar="FOLDER",
        help="only say what a recording's folder holds, how it would be read and why; nothing is written",
    )
    parser.add_argument("-o", "--output", type=Path, help="buffers folder to write; default: CLIP_buffers")
    parser.add_argument(
        "--recording",
        type=Path,
        help="folder of a whole recording: CARLA's own, its Cosmos example's, Virtual KITTI 2, SYNTHIA and others (see "
        "docs/simulators.md). What --depth, --semantic and --instance name goes before what is found there",
    )
    parser.add_argument("--camera", default="", help="part of the name that tells the recording's cameras apart")
    parser.add_argument("--depth", type=Path, help="folder, group in one (FOLDER/depth_*.png), video or .npy of depth")
    parser.add_argument(
        "--depth-format",
        default=AUTO,
        choices=(AUTO, *DEPTH_SOURCES),
        help="default: recognised from the pictures; carla: the raw 24-bit picture",
    )
    parser.add_argument(
        "--depth-scale",
        type=float,
        default=1.0,
        help="metres of one unit: of a code with png16 and grey8, of a value with exr",
    )
    parser.add_argument("--semantic", type=Path, help="folder or video of semantic pictures; default: --instance")
    parser.add_argument(
        "--semantic-format",
        default=AUTO,
        choices=(AUTO, *SEMANTIC_SOURCES),
        help="raw tags of CARLA 0.9.14 and later or of 0.9.13 and earlier, or painted pictures; default: recognised "
        "from the pictures",
    )
    parser.add_argument("--instance", type=Path, help="folder of CARLA's raw instance pictures")
    parser.add_argument(
        "--instance-format",
        default=AUTO,
        choices=(AUTO, *INSTANCE_SOURCES),
        help="whose instance pictures; default: recognised from them",
    )
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

    if options.check is not None:
        scale = options.depth_scale
        formats = options.depth_format, options.semantic_format
        print("\n".join(check_recording(options.check, options.camera, *formats, scale)))
        return
    if options.clip is None:
        raise UserError("No video came: name the clip that the pictures belong to, or --check FOLDER.")
    if not options.clip.is_file():
        raise UserError(f"The video {options.clip} does not exist: give the path of an existing video file.")
    folder = options.output or buffers_beside(options.clip)
    named = ("recording", *CHANNELS, "depth_model", "segmentation_model")
    read = {f"--{name.replace('_', '-')}": getattr(options, name) for name in named}
    check_paths({"the clip": options.clip, **read}, {}, {"-o": folder})
    writable(folder, "the buffers", folder=True)
    recording = _recording(options)
    estimators = load_estimators(options.depth_model, options.segmentation_model, options.device)
    if options.smooth and (estimators.depth is None or recording.depth is not None):
        raise UserError("--smooth steadies the depth of --depth-model, which is not used here: leave it out.")
    for line in described(recording):
        print(line)
    with tqdm(desc="buffers", unit="frame", dynamic_ncols=True) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        buffers = import_recording(
            folder, options.clip, recording.depth, recording.semantic, recording.instance, recording.depth_format,
            recording.semantic_format, progress, recording.depth_scale or options.depth_scale,
            recording.instance_format, estimators, options.smooth,
        )  # fmt: skip
    print(f"{folder} holds {', '.join(buffers.channels)} of {buffers.frames} frames.")


def _recording(options: argparse.Namespace) -> Recording:
    """What the recording's folder holds, and over it what the options name."""
    named = {name: getattr(options, name) for name in CHANNELS if getattr(options, name) is not None}
    formats = options.depth_format, options.semantic_format, options.depth_scale
    recording = Recording()
    if options.recording is not None:
        recording = find_recording(options.recording, options.camera, *formats)
    if not named:
        return recording
    capture = recording.depth is not None and "depth" not in named and (options.recording / "manifest.json").is_file()
    return recognised_recording(replace(recording, **named), *formats, capture, options.instance_format)
