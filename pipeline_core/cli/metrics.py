"""Measure an enhanced clip against its source: SOURCE.mp4 OUTPUT.mp4, its buffers and its twin where there are any."""

import argparse
from pathlib import Path

from ..metrics.compare import compare
from ..metrics.report import format_table, write_json
from .enhance import find_buffers
from .files import writable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, help="the clip before")
    parser.add_argument("output", type=Path, help="the clip after")
    parser.add_argument("--buffers", type=Path, help="buffers folder of the source; default: SOURCE_buffers")
    parser.add_argument("--reference", type=Path, help="the photoreal twin, or a clip the output should look like")
    parser.add_argument("--json", type=Path, help="write the figures as JSON")


def run(options: argparse.Namespace) -> None:
    if options.json:
        writable(options.json, "the figures")
    report = measure(options.source, options.output, options.buffers, options.reference)
    print(format_table(report))
    if options.json:
        write_json(options.json, report)


def measure(source: Path, output: Path, buffers: Path | None, reference: Path | None) -> dict:
    """`compare` with a progress bar, the embedded critic and the buffers found beside the source."""
    from tqdm import tqdm

    from ..metrics.critic import load_critic

    bar = tqdm(total=1, desc="measure", unit="frame", dynamic_ncols=True)

    def progress(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    with bar:
        return compare(source, output, find_buffers(source, buffers), reference, load_critic(), progress)
