"""Measure an enhanced clip against its source: SOURCE.mp4 OUTPUT.mp4, its buffers and its twin where there are any."""

import argparse
import importlib
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from ..conditions.buffers import buffers_beside, find_buffers, open_buffers
from ..doors import check_paths, read_json, writable
from ..doors.limits import FRAMES
from ..errors import UserError
from ..metrics.compare import compare
from ..metrics.extras import GROUPS, Extras
from ..metrics.judge import load_judge
from ..metrics.pictures import write_report
from ..metrics.poses import read_joints
from ..metrics.report import file_hashes, format_table, write_csv, write_frames_csv
from ..metrics.seams import check_seams, parse_seams, plan_seams
from ..metrics.windows import load_video_encoder
from ..perception.encoders import load_encoder
from ..perception.estimators import load_estimators
from ..perception.flow import estimated_flow
from ..perception.objects import load_object_detector
from ..perception.own import NETWORKS, own_folder
from ..perception.poses import load_poses
from ..perception.text_image import load_text_image
from ..video import media
from ..video.files import write_json
from .bars import progress_bar
from .files import add_device

# Options that name a model's file or folder: their hashes go into the report.
MODELS = (
    "lpips", "depth_model", "segmentation_model", "flow_model", "vision_model", "video_model", "clip_model",
    "pickscore", "judge", "detection_model", "tracking_model", "pose_model",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, help="the clip before")
    parser.add_argument("output", type=Path, help="the clip after")
    parser.add_argument("--buffers", type=Path, help="buffers folder of the source; default: SOURCE_buffers")
    parser.add_argument("--output-buffers", type=Path, help="masks a detector found in the output, as a buffers folder")
    parser.add_argument("--reference", type=Path, help="the photoreal twin, or a clip the output should look like")
    parser.add_argument("--made-by", type=Path, help="the JSON of enhance --report: its settings and seams are used")
    parser.add_argument("--seams", default="", help="frames at which windows begin, such as 48,96")
    parser.add_argument(
        "--only", default="", help=f"groups of figures, such as fidelity,time; default: all of {', '.join(GROUPS)}"
    )
    parser.add_argument("--lpips", type=Path, help="LPIPS weights: the lpips package's state as safetensors")
    parser.add_argument("--depth-model", type=Path, help="transformers folder; compares the depth of both clips")
    parser.add_argument(
        "--segmentation-model", type=Path, help="transformers folder; compares masks and detected objects of both clips"
    )
    parser.add_argument(
        "--detection-model", type=Path,
        help="RT-DETR, DETR or Grounding DINO folder; finds objects of both clips in the segmentation model's place",
    )  # fmt: skip
    parser.add_argument("--tracking-model", type=Path, help="SAM 2 folder: masks of what --detection-model finds")
    parser.add_argument(
        "--own-models", action="store_true",
        help="the world's own networks (models/perception) for depth, segmentation and detection models that are not "
        "named; they know this pack's world alone",
    )  # fmt: skip
    parser.add_argument("--pose-model", type=Path, help="ViTPose folder: people's joints in the output")
    parser.add_argument("--joints", type=Path, help="true joints of the clip, joints.json of render-cg; joint error")
    parser.add_argument("--alpha", type=Path, help="true alpha of the clip, alpha/ of render-cg; layer separation")
    parser.add_argument("--colmap", action="store_true", help="reconstruct the output by pycolmap; takes minutes")
    parser.add_argument("--flow-model", type=Path, help="RAFT's weights, for motion where the buffers have none")
    parser.add_argument(
        "--estimate-flow", action="store_true", help="the same by TV-L1 (scikit-image), seconds per frame at 1080p"
    )
    parser.add_argument("--vision-model", type=Path, help="DINOv2 or CLIP folder; compares what objects look like")
    parser.add_argument("--video-model", type=Path, help="VideoMAE folder; FVD to the real clips of --real")
    parser.add_argument("--clip-model", type=Path, help="CLIP folder with texts; CLIP-IQA")
    parser.add_argument("--pickscore", type=Path, help="PickScore folder; needs --prompt, or a --made-by that has one")
    parser.add_argument("--prompt", help="what the output should show, for PickScore")
    parser.add_argument("--judge", type=Path, help="vision-language model folder: does it prefer output or source")
    parser.add_argument(
        "--quality", action="append", default=[], metavar="NAME=MODULE:FUNCTION",
        help="a function of your own that scores windows of frames (T, H, W, 3) in [0, 1], such as dover=my:score",
    )  # fmt: skip
    parser.add_argument("--real", type=Path, help="folder of real pictures or clips to measure the distance to")
    parser.add_argument("--blur", action="store_true", help="measure blur SSIM too; minutes per frame at 1080p")
    add_device(parser)
    parser.add_argument("--no-critic", action="store_true", help="leave out the embedded critic, slow on large frames")
    parser.add_argument("--json", type=Path, help="write the figures as JSON, and as CSV beside it, also per frame")
    parser.add_argument("--report", type=Path, help="folder for JSON, CSV, plots, worst frames, side-by-side pictures")


def run(options: argparse.Namespace) -> None:
    check_outputs(options)
    if options.real and not (options.vision_model or options.video_model):
        raise UserError("Real frames came without a feature network: add --vision-model or --video-model.")
    if options.own_models:
        take_own_models(options)
    made_by = read_made_by(options.made_by) if options.made_by else {}
    extras = chosen_extras(options, made_by)
    models = file_hashes({name: getattr(options, name) for name in MODELS})
    about = {**({"models": models} if models else {}), **({"made_by": made_by} if made_by else {})}
    report = measure(
        options.source, options.output, options.buffers, options.reference, extras, about, not options.no_critic
    )
    print(format_table(report))
    if options.json:
        write_json(options.json, report)
        _, figures, frames = json_files(options.json)
        write_csv(figures, {"value": report})
        write_frames_csv(frames, report)
    if options.report:
        write_report(options.report, report, options.source, options.output, options.reference, seams=extras.seams)
        print(f"The report is in {options.report}.")


def check_outputs(options: argparse.Namespace) -> None:
    """UserError unless what is written can be written and nothing that is read is written over."""
    named = ("buffers", "output_buffers", "reference", "made_by", "real", "joints", "alpha", *MODELS)
    read = {"the source": options.source, "the output": options.output}
    read |= {f"--{name.replace('_', '-')}": getattr(options, name) for name in named}
    if options.buffers is None:
        read["the buffers"] = buffers_beside(options.source)
    written = {}
    if options.json:
        written = dict(zip(("--json", "the table of --json", "the frames' table of --json"), json_files(options.json)))
    check_paths(read, written, {"--report": options.report})
    for what, path in written.items():
        writable(path, what, suffixes=(".json",))
    if options.report:
        writable(options.report, "--report", folder=True)
    if options.seams:
        seams, frames = parse_seams(options.seams), media.probe(options.output).frames
        check_seams(seams, frames)


def take_own_models(options: argparse.Namespace) -> None:
    """Put models/perception's folders where no model was named; UserError where none is there."""
    folders = {name: folder for name, network in NETWORKS.items() if (folder := own_folder(network))}
    if not folders:
        raise UserError("There are no networks in models/perception: leave out --own-models, or name models.")
    for name, folder in folders.items():
        setattr(options, name, getattr(options, name) or folder)


def json_files(path: Path) -> tuple[Path, Path, Path]:
    """What --json writes: figures as JSON and as CSV, and figures of every frame as CSV."""
    return path, path.with_suffix(".csv"), path.with_name(f"{path.stem}_frames.csv")


def chosen_extras(options: argparse.Namespace, made_by: dict) -> Extras:
    """What the options say, with every model loaded."""
    device = options.device
    estimators = load_estimators(options.depth_model, options.segmentation_model, device, options.flow_model)
    if options.estimate_flow and estimators.flow is None:
        if find_spec("skimage") is None:
            raise UserError("--estimate-flow needs scikit-image: run pip install scikit-image, or leave it out.")
        estimators = replace(estimators, flow=estimated_flow)
    seams = parse_seams(options.seams) or plan_seams(made_by.get("plan", {}).get("windows", []))
    if options.tracking_model and not options.detection_model:
        raise UserError("--tracking-model came without boxes to draw masks in: add --detection-model.")
    detector = options.detection_model
    detect = load_object_detector(detector, options.tracking_model, device) if detector else None
    pick = load_text_image(options.pickscore, device) if options.pickscore else None
    prompt = options.prompt or made_by.get("settings", {}).get("prompt") or ""
    if pick and not prompt:
        raise UserError("PickScore came without a prompt: add --prompt.")
    return Extras(
        only=tuple(name.strip() for name in options.only.split(",") if name.strip()),
        lpips=options.lpips,
        blur=options.blur,
        estimators=estimators,
        encoder=load_encoder(options.vision_model, device) if options.vision_model else None,
        real=options.real,
        output_buffers=open_buffers(options.output_buffers, options.output) if options.output_buffers else None,
        seams=seams,
        detect=detect,
        video_encoder=load_video_encoder(options.video_model, device) if options.video_model else None,
        text_image=load_text_image(options.clip_model, device) if options.clip_model else None,
        pick=pick,
        prompt=prompt,
        quality=dict(quality_hook(text) for text in options.quality),
        judge=load_judge(options.judge, device) if options.judge else None,
        poses=load_poses(options.pose_model, device) if options.pose_model else None,
        joints=read_joints(options.joints) if options.joints else None,
        alpha=options.alpha,
        colmap=options.colmap,
        device=device,
    )


def read_made_by(path: Path) -> dict:
    """The report of the enhance command; UserError for anything else."""
    change = "give the JSON file of enhance --report to --made-by"
    content = read_json(path, change)
    plan, settings = content.get("plan"), content.get("settings", {})
    windows = plan.get("windows") if isinstance(plan, dict) else None
    if not isinstance(windows, list) or not all(_is_pair(window) for window in windows):
        raise UserError(f"{path} holds no plan of windows: {change}.")
    prompt = settings.get("prompt") if isinstance(settings, dict) else 0
    if prompt is not None and not isinstance(prompt, str):
        raise UserError(f"{path} holds no settings of a job: {change}.")
    return content


def _is_pair(window) -> bool:
    return isinstance(window, list) and len(window) == 2 and all(type(n) is int and 0 <= n <= FRAMES[1] for n in window)


def quality_hook(text: str) -> tuple[str, Callable]:
    """ "dover=my_module:score" to its name and the function."""
    name, _, place = text.partition("=")
    module, _, function = place.partition(":")
    try:
        score = getattr(importlib.import_module(module), function)
    except Exception as error:  # a module of the user's own may fail in any way while it is imported
        raise UserError(f"--quality {text} cannot be found ({error}): write NAME=MODULE:FUNCTION.") from error
    return name, score


def measure(
    source: Path,
    output: Path,
    buffers: Path | None,
    reference: Path | None,
    extras: Extras = Extras(),
    about: dict | None = None,
    critic: bool = True,
) -> dict:
    """`compare` with a progress bar, the embedded critic and the buffers found beside the source."""
    from ..metrics.critic import load_critic

    judge = load_critic(device=extras.device) if critic else None
    with progress_bar("measure", "frame") as progress:
        return compare(source, output, find_buffers(source, buffers), reference, judge, progress, extras, about)
