"""Fine-tune a model on a folder of clips with captions: FOLDER --model DIR -o LORA; run again, it goes on.

A clip's caption is its "text" in a metadata.jsonl (Hugging Face's video folder) or what NAME.txt beside it says.
"""

import argparse
import hashlib
from pathlib import Path

import torch

from ..devices import chosen_device, free_memory
from ..doors import check_paths, writable
from ..doors.limits import check_range
from ..errors import UserError
from ..finetune.clips import CaptionedClip, chosen_clips, parse_mix, read_clips, tagged
from ..finetune.networks import clip_preset, folder_mark, is_wan, training_preset
from ..finetune.samples import Samples, Window, cut_clips
from ..finetune.selection import read_selection
from ..finetune.train import LoraConfig, LoraRun, check_config, open_run, probe, train
from ..models.folders.layout import TRAINABLE
from ..models.folders.loading import EMBEDDED, TYPES, load_part
from ..models.folders.lora import NAME, lora_tensors, require_peft, save_lora
from ..models.folders.precision import PRECISIONS, check_bf16_weights, choose_precision
from ..models.folders.preset import Preset
from ..models.folders.training_memory import WEIGHTS, plan_training
from ..video.files import only_run, write_json
from ..world.studio.captions import TAG
from .bars import progress_bar
from .ends import after_the_step
from .files import add_device, parse_size

RENDERED = "synthetic"  # the source whose captions are tagged
RANKS, RATES, BATCHES, STEPS, SEEDS = (1, 1024), (1e-8, 1.0), (1, 1024), (1, 10_000_000), (0, 2**31 - 1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="the clips, with metadata.jsonl or NAME.txt beside NAME.mp4")
    parser.add_argument("--model", type=Path, help="folder in diffusers format: embedded, Cosmos-Transfer2.5 or Wan")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the LoRA; its training/ is kept")
    parser.add_argument("--steps", type=int, default=1000, help="in all, default: %(default)s; more go on from there")
    parser.add_argument("--rank", type=int, default=16, help="of the LoRA, default: %(default)s")
    parser.add_argument("--rate", type=float, default=1e-4, help="of Adam's steps, default: %(default)s")
    parser.add_argument("--batch", type=int, default=1, help="windows a step, one after the other; default: 1")
    parser.add_argument("--frames", type=int, help="of a window; default: the model's. Fewer need less memory")
    parser.add_argument("--size", help="height x width whose area windows have; default: the model's")
    parser.add_argument("--caption", help="of clips that have none")
    parser.add_argument(
        "--captions", default="text", help="name of the captions in metadata.jsonl, default: %(default)s"
    )
    parser.add_argument("--mix", help="shares of the clips' sources, such as synthetic=.3,photoreal=.7")
    parser.add_argument(
        "--tag", choices=("on", "off"), default="off", help=f'say "{TAG}" in captions of the source {RENDERED}'
    )
    parser.add_argument(
        "--selection", type=Path, help="selection.jsonl of select: clips that are kept, by their weights"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the first weights and of every draw")
    add_device(parser)
    parser.add_argument("--precision", choices=PRECISIONS, default="auto", help="as for enhance")
    parser.add_argument("--weights", choices=WEIGHTS, default="auto", help="of the frozen model in memory")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done and needed")


def run(options: argparse.Namespace) -> None:
    check_options(options)
    folder, device = options.model or EMBEDDED, chosen_device(options.device)
    bf16, note = choose_precision(options.precision, device)
    preset = clip_preset(training_preset(folder), options.frames, options.size and parse_size(options.size))
    clips, mix = clips_of(options)
    windows, left = cut_clips(clips, preset)
    longest = max(window.length for window in windows)
    preset = clip_preset(preset, longest, None)
    plan = plan_training(folder, preset, options.rank, options.weights, free_memory(device), str(device))
    for line in (*said_of(windows, left), plan.sentence() if plan.fits else "", note):
        if line:
            print(line)
    if not plan.fits:
        raise UserError(plan.sentence())
    check_bf16_weights(plan.weights, device)
    config = LoraConfig(
        model=folder_mark(folder), clips=mark_of(windows), prediction=preset.prediction, rank=options.rank,
        rate=options.rate, batch=options.batch, seed=options.seed, weights=plan.weights, bf16=bf16,
        mix=mix,
    )  # fmt: skip
    checkpoint = options.output / "training"
    check_config(checkpoint, config)
    if options.dry_run:
        return
    with only_run(checkpoint, "-o"):
        run_steps(options, folder, preset, device, config, Samples(windows, checkpoint))


def run_steps(
    options: argparse.Namespace, folder: Path, preset: Preset, device: torch.device, config: LoraConfig,
    samples: Samples,
) -> None:  # fmt: skip
    """Encode what is not yet, step, write the LoRA; KeyboardInterrupt where it was stopped before the last step."""
    dtype, bf16 = TYPES[config.weights], config.bf16
    with progress_bar("read and encode", "piece") as progress:
        samples.prepare(folder, preset, device, dtype, bf16, progress)
    transformer = load_part(folder, "transformer", dtype, TRAINABLE).to(device)
    lora = open_run(samples.folder, config, transformer, samples, device)
    with after_the_step() as stop, progress_bar("train", "step") as progress:
        done = train(lora, options.steps, stop, progress)
    write_lora(lora, options, is_wan(folder))
    if not done:
        raise KeyboardInterrupt(
            f"{lora.step} of {options.steps} steps are kept, and the same command goes on from there"
        )


def check_options(options: argparse.Namespace) -> None:
    """UserError for options out of range, paths that cannot be, and a missing peft."""
    for name, limits in (("rank", RANKS), ("rate", RATES), ("batch", BATCHES), ("steps", STEPS), ("seed", SEEDS)):
        check_range(f"--{name}", getattr(options, name), limits)
    read = {"--model": options.model, "FOLDER": options.folder, "--selection": options.selection}
    check_paths(read, {}, {"-o": options.output})
    if not options.dry_run:
        require_peft("Fine-tuning")
        writable(options.output, "the LoRA", folder=True)


def clips_of(options: argparse.Namespace) -> tuple[list[CaptionedClip], dict[str, float] | None]:
    """The clips that the options ask for, with their captions and weights, and the shares of their sources."""
    clips = read_clips(options.folder, options.caption, options.output, options.captions)
    if options.selection:
        clips = chosen_clips(clips, options.folder, read_selection(options.selection))
    if options.tag == "on":
        clips = tagged(clips, RENDERED, TAG)
    if not options.mix:
        return clips, None
    shares = parse_mix(options.mix, (clip.source for clip in clips))
    shares = {source: share for source, share in sorted(shares.items()) if share}
    return [clip for clip in clips if clip.source in shares], shares


def said_of(windows: list[Window], left: int) -> list[str]:
    """What is trained on, in sentences."""
    clips, lengths = len({id(window.facts) for window in windows}), sorted({window.length for window in windows})
    frames = f"{lengths[0]}" if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]}"
    sizes = ", ".join(sorted({f"{height}x{width}" for height, width in (window.size for window in windows)}))
    end = f"; {left} frames at the clips' ends are in none" if left else ""
    return [f"{clips} clips in {len(windows)} windows of {frames} frames at {sizes}{end}"]


def mark_of(windows: list[Window]) -> str:
    """Hash of the windows, their captions, sources and weights."""
    lines = sorted(f"{window.key} {window.caption} {window.source} {window.weight!r}" for window in windows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def write_lora(lora: LoraRun, options: argparse.Namespace, wan: bool) -> None:
    """The LoRA's files with training.json beside them, and a sentence on what came out."""
    save_lora(lora_tensors(lora.transformer), lora.config.rank, options.output, wan)
    after = probe(lora)
    about = {
        "model": (options.model or EMBEDDED).name,
        "steps": lora.step,
        **{name: getattr(lora.config, name) for name in ("rank", "rate", "batch", "seed", "weights", "bf16", "mix")},
        "windows": len(lora.samples),
        "loss_before": lora.before,
        "loss_after": after,
        "losses": lora.losses,
        "torch": torch.__version__,
    }
    write_json(options.output / "training.json", about)
    print(
        f"{options.output / NAME} after {lora.step} steps: loss {after:.4f} where it was {lora.before:.4f} without, on "
        "the same draws of these clips"
    )
