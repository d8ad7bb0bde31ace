"""Say which clips of a folder are worth training on: FOLDER -o OUT, for train-lora --selection OUT/selection.jsonl.

Near-duplicate, flat, dark and static clips and failed renders are dropped, with reasons. With --reference, a LoRA
trained on renders alone, clips are also weighed by how much better it explains them than the model does (SimDrop).
"""

import argparse
import hashlib
from dataclasses import fields
from pathlib import Path

from ..devices import chosen_device, free_memory
from ..doors import check_paths, writable
from ..doors.limits import check_range
from ..finetune.clips import CaptionedClip, read_clips
from ..finetune.curation import Limits
from ..finetune.errors import Denoiser
from ..finetune.explain import LEVELS, Errors, explain
from ..finetune.networks import clip_preset, folder_mark, training_preset
from ..finetune.samples import Samples, cut_clips
from ..finetune.selection import INDEX, Judge, curate, judge_rows, summary, write_selection
from ..models.folders.layout import TRAINABLE, sample_hash
from ..models.folders.loading import EMBEDDED, TYPES, load_part
from ..models.folders.lora import Lora, add_reference, parse_lora, require_peft
from ..models.folders.precision import PRECISIONS, check_bf16_weights, choose_precision
from ..models.folders.training_memory import WEIGHTS, plan_training
from ..video.files import only_run
from .bars import progress_bar
from .files import add_device, parse_size

USUAL = Limits()
MEANS = {
    "dark": "least mean brightness", "flat": "least contrast within frames", "static": "least change between frames",
    "alike": "least distance to any clip before", "blank": "most blank frames, a share",
    "nobody": "most frames without people where joints are known, a share",
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="the clips, as for train-lora")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the verdicts; measured clips stay")
    for name, words in MEANS.items():
        usual = getattr(USUAL, name)
        parser.add_argument(f"--{name}", type=float, default=usual, help=f"{words}, default: {usual:g}")
    parser.add_argument("--reference", help="LoRA of train-lora on renders: its folder or file; default: none")
    parser.add_argument(
        "--most", type=float, default=1.0, help="advantage of the reference above which clips go, 0 to 1"
    )
    parser.add_argument("--best", type=float, default=1.0, help="share of clips that stay, those of least advantage")
    parser.add_argument("--caption", help="of clips that have none")
    parser.add_argument("--captions", default="text", help="their name in metadata.jsonl, default: %(default)s")
    parser.add_argument("--model", type=Path, help="the model of --reference, as for train-lora")
    parser.add_argument("--frames", type=int, help="of a window that is scored, as for train-lora")
    parser.add_argument("--size", help="as for train-lora")
    add_device(parser)
    parser.add_argument("--precision", choices=PRECISIONS, default="auto", help="as for enhance")
    parser.add_argument("--weights", choices=WEIGHTS, default="auto", help="as for train-lora")


def run(options: argparse.Namespace) -> None:
    limits = check_options(options)
    lora = parse_lora(options.reference, "--reference") if options.reference else None
    if lora:
        require_peft("--reference")
    clips = read_clips(options.folder, options.caption, options.output, options.captions)
    with only_run(options.output, "-o"):
        with progress_bar("measure", "clip") as progress:
            rows = curate(clips, options.folder, options.output, limits, progress)
        left = [clip for clip, row in zip(clips, rows, strict=True) if not row["reasons"]]
        if lora and left:
            judge = load_judge(options, left, lora)
            with progress_bar("score", "clip") as progress:
                judge_rows(rows, clips, options.output, judge, progress)
        write_selection(options.output, rows)
    print("\n".join(summary(rows)))
    print(f"{options.output / INDEX} has every clip with its figures, verdict, reason and weight.")


def check_options(options: argparse.Namespace) -> Limits:
    """The limits; UserError for options out of range and paths that cannot be."""
    for name in (*(field.name for field in fields(Limits)), "most", "best"):
        check_range(f"--{name}", getattr(options, name), (-1.0 if name == "most" else 0.0, 1.0))
    check_paths({"--model": options.model, "FOLDER": options.folder}, {}, {"-o": options.output})
    writable(options.output, "the verdicts", folder=True)
    return Limits(**{field.name: getattr(options, field.name) for field in fields(Limits)})


def load_judge(options: argparse.Namespace, clips: list[CaptionedClip], lora: Lora) -> Judge:
    """Encode the clips and load the model with its reference beside it."""
    folder, device = options.model or EMBEDDED, chosen_device(options.device)
    bf16, note = choose_precision(options.precision, device)
    preset = clip_preset(training_preset(folder), options.frames, options.size and parse_size(options.size))
    windows, _ = cut_clips(clips, preset)
    weights = plan_training(folder, preset, 1, options.weights, free_memory(device), str(device)).weights
    check_bf16_weights(weights, device)
    if note:
        print(note)
    samples = Samples(windows, options.output)
    with progress_bar("read and encode", "piece") as progress:
        samples.prepare(folder, preset, device, TYPES[weights], bf16, progress)
    transformer = load_part(folder, "transformer", TYPES[weights], TRAINABLE).to(device)
    add_reference(transformer, lora)
    denoiser = Denoiser(transformer.eval(), preset.prediction, weights, bf16, device)
    places: dict[Path, list[int]] = {}
    for index, window in enumerate(windows):
        places.setdefault(window.facts.path, []).append(index)

    def explained(clip: CaptionedClip) -> Errors:
        return explain(denoiser, samples, places[clip.path])

    words = [
        folder_mark(folder),
        sample_hash(lora.path),
        lora.weight,
        preset.window,
        preset.size,
        weights,
        bf16,
        LEVELS,
    ]
    return Judge(explained, hashlib.sha256(repr(words).encode()).hexdigest()[:16], options.most, options.best)
