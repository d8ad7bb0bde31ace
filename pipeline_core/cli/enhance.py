"""Enhance a synthetic clip: INPUT.mp4 -o OUTPUT.mp4; what is not given comes from the model's preset."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..conditions.buffers import buffers_beside, find_buffers
from ..conditions.stack import parse_controls
from ..doors import check_paths, writable
from ..errors import UserError
from ..job.dials import job_settings
from ..job.files import enhance_file, windows_folder
from ..job.keep import read_keep_mask
from ..job.table import SETTINGS, Setting
from ..longvideo import ChunkFolder
from ..metrics.compare import compare
from ..metrics.extras import Extras
from ..metrics.report import environment
from ..metrics.seams import plan_seams
from ..models.folders.loading import load_video_model
from ..models.folders.lora import parse_lora
from ..models.folders.memory import WEIGHTS
from ..models.folders.precision import PRECISIONS
from ..perception.captions import PROMPT_SETS, file_prompts
from ..perception.estimators import load_estimators
from ..perception.text_image import load_agreement
from ..video import media
from ..video.facts import examine
from ..video.files import remove_unfinished, write_json
from .bars import progress_bar
from .files import add_device

if TYPE_CHECKING:
    from torch import Tensor

    from ..conditions.buffers import Buffers
    from ..conditions.estimated import Estimators
    from ..job.settings import EnhanceSettings
    from ..models.networks.video_model import VideoModel
    from ..video.facts import ClipFacts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=Path, help="the synthetic clip")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the enhanced clip (.mp4, .mov, .mkv)")
    parser.add_argument("--buffers", type=Path, help="buffers folder; default: INPUT_buffers if it is there")
    parser.add_argument("--depth-model", type=Path, help="transformers folder, used where the buffers have no depth")
    parser.add_argument("--segmentation-model", type=Path, help="likewise for the classes")
    add_flow(parser)
    parser.add_argument(
        "--model", type=Path, help="Cosmos-Transfer or Cosmos 3 folder in diffusers format; default: the embedded model"
    )
    add_lora(parser)
    add_simdrop_reference(parser)
    add_computing(parser)
    parser.add_argument(
        "--prompt-set",
        choices=PROMPT_SETS,
        help="wording of the papers around what the clip shows, for the prompts that are not given",
    )
    parser.add_argument(
        "--caption-model",
        type=Path,
        help="transformers folder of a vision-language model that says what the clip shows; default: the buffers' "
        "description of the scene",
    )
    parser.add_argument(
        "--clip-model",
        type=Path,
        help="CLIP folder with its text half, by which a --prompt that contradicts the clip is warned of; default: the "
        "pack's own network, for clips of its own world",
    )
    parser.add_argument(
        "--realism",
        type=float,
        help="dial from 0 (hardly changed) to 1 (as photoreal as the model can); 0.5 is the preset. The dials set "
        "strength, cfg and noise blend together; what is given by its own option goes before them",
    )
    parser.add_argument(
        "--faithfulness",
        type=float,
        help="dial from 0 (free to differ) to 1 (held to the source); 0.5 is the preset. See --realism",
    )
    for name, setting in SETTINGS.items():
        add_setting(parser, name, setting)
    add_care(parser)


def add_flow(parser: argparse.ArgumentParser) -> None:
    """--flow-model."""
    parser.add_argument(
        "--flow-model",
        type=Path,
        help="RAFT's weights as safetensors, for --handover motion where the buffers have no flow; default: TV-L1, "
        "which needs no weights",
    )


def add_computing(parser: argparse.ArgumentParser) -> None:
    """On what the networks run, and in what numbers."""
    add_device(parser)
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="what the networks compute in; auto: bf16 where hardware and torch have it. Name one where results of "
        "several machines are compared",
    )
    parser.add_argument(
        "--weights",
        choices=WEIGHTS,
        default="auto",
        help="of the model in memory; fp8 halves bf16. A memory plan is printed before --model is loaded",
    )


def add_care(parser: argparse.ArgumentParser) -> None:
    """What is done with a clip and a result beside the job itself."""
    parser.add_argument(
        "--accept-damaged",
        action="store_true",
        help="go on with what can be decoded of a clip that is cut or broken; the report says what is missing, and "
        "has no figures of seams",
    )
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="MASK.png",
        help="a picture of the clip's size, white where every frame stays as it is, such as a screen display",
    )
    parser.add_argument("--keep-windows", action="store_true", help="keep OUTPUT.windows once the output is whole")
    parser.add_argument("--report", type=Path, help="write what was done as JSON")


def add_lora(parser: argparse.ArgumentParser) -> None:
    """--lora, which may come several times."""
    parser.add_argument(
        "--lora",
        action="append",
        default=[],
        metavar="LORA[:WEIGHT]",
        help="LoRA for the model, of train-lora or another in diffusers' layout, and how much of it, such as look:0.8; "
        "several: give it again",
    )


NO_SIMDROP = "--simdrop-reference has no effect without --simdrop: give its weight, such as --simdrop 0.2."


def add_simdrop_reference(parser: argparse.ArgumentParser) -> None:
    """--simdrop-reference, None where it is not given."""
    parser.add_argument(
        "--simdrop-reference",
        metavar="LORA[:WEIGHT]",
        help="with --simdrop: a LoRA of the model trained on simulated clips, with which the model says what to move "
        "away from; default: the inversion prompt says it",
    )


def lora_paths(options: argparse.Namespace) -> dict[str, Path]:
    """What the options of `add_lora` and `add_simdrop_reference` name, by how the command line has it."""
    paths = {f"--lora {text}": parse_lora(text).path for text in options.lora}
    if options.simdrop_reference is not None:
        paths["--simdrop-reference"] = parse_lora(options.simdrop_reference, "--simdrop-reference").path
    return paths


def add_setting(parser: argparse.ArgumentParser, name: str, setting: Setting) -> None:
    """An option for one setting of the job, None where it is not given."""
    option, destination = setting.option or f"--{name.replace('_', '-')}", {"dest": name, "help": setting.help}
    if setting.kind == "switch":
        parser.add_argument(option, action="store_true", default=None, **destination)
    elif setting.kind == "interval":
        parser.add_argument(option, type=float, nargs=2, metavar=("LOWEST", "HIGHEST"), **destination)
    elif setting.kind == "choice":
        parser.add_argument(option, choices=setting.choices, **destination)
    else:
        parser.add_argument(option, type={"number": float, "count": int}.get(setting.kind, str), **destination)


def run(options: argparse.Namespace) -> None:
    check_outputs(options)
    loras = [parse_lora(text) for text in options.lora]
    reference = options.simdrop_reference and parse_lora(options.simdrop_reference, "--simdrop-reference")
    if reference and not options.simdrop:
        raise UserError(NO_SIMDROP)
    facts, keep = checked_input(options)
    buffers = find_buffers(options.input, options.buffers)
    estimators = load_estimators(options.depth_model, options.segmentation_model, options.device, options.flow_model)
    if options.clip_model is not None:
        estimators = replace(estimators, agreement=load_agreement(options.clip_model, options.device))
    worded = worded_prompts(options, buffers)  # before the video model needs the memory
    tell = print if options.model is not None else None
    model = load_video_model(options.model, options.device, options.precision, options.weights, tell, loras, reference)
    settings = job_settings(model.preset, worded | given_settings(options), options.realism, options.faithfulness)
    carry_out(options, "enhance", facts, keep, model, settings, buffers, estimators)


def checked_input(options: argparse.Namespace) -> tuple[ClipFacts, Tensor | None]:
    """What the clip is, and the mask of --keep; UserError where the clip is damaged and that is not accepted."""
    facts = examine(options.input)
    if not options.accept_damaged:
        facts.refuse_damage(", or go on with what is there by --accept-damaged")
    remove_unfinished(options.output)
    ChunkFolder(windows_folder(options.output), {})  # before the work: is a folder of that name ours
    return facts, None if options.keep is None else read_keep_mask(options.keep, facts.size)


def carry_out(
    options: argparse.Namespace,
    name: str,
    facts: ClipFacts,
    keep: Tensor | None,
    model: VideoModel,
    settings: EnhanceSettings,
    buffers: Buffers | None,
    estimators: Estimators,
) -> None:
    """The job from file to file with a bar of that name, and its report; what else it takes is in the options."""
    try:
        with progress_bar(name, "step") as progress:
            report = enhance_file(
                facts,
                options.output,
                model,
                settings,
                buffers,
                estimators,
                keep_windows=options.keep_windows,
                accept_damaged=options.accept_damaged,
                keep=keep,
                say=print,
                progress=progress,
            )
    except KeyboardInterrupt:
        if windows_folder(options.output).is_dir():
            raise KeyboardInterrupt("finished windows are kept, and the same command goes on from them") from None
        raise
    if options.report:
        report["environment"] = environment()
        # A source that is cut, or was cut meanwhile, has no frames to measure the result against.
        seams = [] if options.accept_damaged else plan_seams(report["plan"]["windows"])
        if seams:
            extras = Extras(only=("time",), seams=seams, estimators=estimators)
            measured = compare(options.input, options.output, buffers, extras=extras)
            report["seams"] = measured["figures"]["time"]
        write_json(options.report, report)


READ = ("buffers", "depth_model", "segmentation_model", "flow_model", "model", "caption_model", "clip_model", "keep")


def check_outputs(options: argparse.Namespace) -> None:
    """UserError unless what is written can be written and nothing that is read is written over."""
    read = {"the input": options.input}
    read |= {f"--{name.replace('_', '-')}": getattr(options, name) for name in READ}
    read |= lora_paths(options)
    if options.buffers is None:
        read["the buffers"] = buffers_beside(options.input)
    check_paths(read, {"-o": options.output, "--report": options.report}, {"windows": windows_folder(options.output)})
    writable(options.output, "the enhanced clip", suffixes=media.SUFFIXES)
    media.check_suffix(options.output)
    if options.report:
        writable(options.report, "the report", suffixes=(".json",))


def worded_prompts(options: argparse.Namespace, buffers) -> dict[str, str]:
    """The prompts of --prompt-set and --caption-model, by the names of the settings; none without the two."""
    if options.prompt_set is None and options.caption_model is None:
        return {}
    description = buffers.scene.get("description", "") if buffers is not None else ""
    prompts = file_prompts(
        options.input, options.prompt_set or "embedded", options.caption_model, description, options.device
    )
    return {
        "prompt": prompts.positive,
        "negative_prompt": prompts.negative,
        "inversion_prompt": prompts.inversion,
    }


def given_settings(options: argparse.Namespace) -> dict:
    """Name -> value of the settings that options gave."""
    values = {name: getattr(options, name) for name in SETTINGS if getattr(options, name) is not None}
    if "controls" in values:
        values["controls"] = parse_controls(values["controls"])
    return {name: tuple(value) if SETTINGS[name].kind == "interval" else value for name, value in values.items()}
