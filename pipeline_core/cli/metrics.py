"""Measure an enhanced clip against its source: SOURCE.mp4 OUTPUT.mp4, its buffers and its twin where there are any."""

import argparse
from pathlib import Path

from ..conditions.buffers import open_buffers
from ..conditions.estimators import load_estimators
from ..errors import UserError
from ..metrics.compare import compare
from ..metrics.encoder import load_encoder
from ..metrics.pictures import write_report
from ..metrics.report import format_table, write_csv, write_frames_csv, write_json
from ..metrics.suite import Extras
from .enhance import find_buffers
from .files import writable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, help="the clip before")
    parser.add_argument("output", type=Path, help="the clip after")
    parser.add_argument("--buffers", type=Path, help="buffers folder of the source; default: SOURCE_buffers")
    parser.add_argument("--output-buffers", type=Path, help="masks a detector found in the output, as a buffers folder")
    parser.add_argument("--reference", type=Path, help="the photoreal twin, or a clip the output should look like")
    parser.add_argument("--seams", default="", help="frames at which windows begin, such as 48,96")
    parser.add_argument("--lpips", type=Path, help="LPIPS weights: the lpips package's state as safetensors")
    parser.add_argument("--depth-model", type=Path, help="transformers folder; compares the depth of both clips")
    parser.add_argument("--segmentation-model", type=Path, help="transformers folder; compares the masks of both clips")
    parser.add_argument("--vision-model", type=Path, help="DINOv2 or CLIP folder; compares what objects look like")
    parser.add_argument("--real", type=Path, help="folder of real pictures or clips to measure the distance to")
    parser.add_argument("--blur", action="store_true", help="measure blur SSIM too; minutes per frame at 1080p")
    parser.add_argument("--json", type=Path, help="write the figures as JSON, and as CSV beside it, also per frame")
    parser.add_argument("--report", type=Path, help="folder for JSON, CSV, plots, worst frames, side-by-side pictures")


def run(options: argparse.Namespace) -> None:
    if options.json:
        writable(options.json, "the figures")
    if options.report and not options.report.parent.is_dir():
        raise UserError(f"The folder {options.report.parent} for the report does not exist: change --report.")
    if options.real and not options.vision_model:
        raise UserError("Real frames came without a feature network: add --vision-model.")
    extras = Extras(
        lpips=options.lpips,
        blur=options.blur,
        estimators=load_estimators(options.depth_model, options.segmentation_model),
        encoder=load_encoder(options.vision_model) if options.vision_model else None,
        real=options.real,
        output_buffers=open_buffers(options.output_buffers, options.output) if options.output_buffers else None,
        seams=parse_seams(options.seams),
    )
    report = measure(options.source, options.output, options.buffers, options.reference, extras)
    print(format_table(report))
    if options.json:
        write_json(options.json, report)
        write_csv(options.json.with_suffix(".csv"), {"value": report})
        write_frames_csv(options.json.with_name(f"{options.json.stem}_frames.csv"), report)
    if options.report:
        write_report(options.report, report, options.source, options.output, options.reference, seams=extras.seams)
        print(f"The report is in {options.report}.")


def parse_seams(text: str) -> tuple[int, ...]:
    """ "48,96" to (48, 96); an empty text to ()."""
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise UserError(f"The seams {text!r} are not frame numbers such as 48,96: change --seams.") from None


def measure(
    source: Path, output: Path, buffers: Path | None, reference: Path | None, extras: Extras = Extras()
) -> dict:
    """`compare` with a progress bar, the embedded critic and the buffers found beside the source."""
    from tqdm import tqdm

    from ..metrics.critic import load_critic

    bar = tqdm(total=1, desc="measure", unit="frame", dynamic_ncols=True)

    def progress(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    with bar:
        return compare(source, output, find_buffers(source, buffers), reference, load_critic(), progress, extras)
