"""Make a data set that trainers read of a batch folder's results, with the labels of their sources."""

import argparse
from pathlib import Path

from ..batch.export import FORMATS, export
from ..batch.export.selection import DEFAULT_SPLITS
from .bars import progress_bar


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", metavar="OUT", type=Path, help="the folder that enhance-folder wrote")
    parser.add_argument("target", metavar="TARGET", type=Path, help="new or empty folder for the data set")
    parser.add_argument("--format", required=True, choices=tuple(FORMATS))
    parser.add_argument(
        "--splits",
        default=DEFAULT_SPLITS,
        help=f"NAME=SHARE,... with shares that sum to 1; all variants of a clip are in one. Default: {DEFAULT_SPLITS}",
    )
    parser.add_argument("--include-rejected", action="store_true", help="take results that the gate rejected too")
    parser.add_argument("--every", type=int, default=1, help="take every Nth frame only; default: 1, all")


def run(options: argparse.Namespace) -> None:
    with progress_bar(f"export {options.format}", "clip") as progress:
        exported = export(
            options.out, options.target, options.format, options.splits, options.include_rejected, options.every,
            progress,
        )  # fmt: skip
    for split, counts in exported.counts.items():
        print(f"{split}: {', '.join(f'{count} {name}' for name, count in counts.items())}")
    for split in exported.empty:
        print(f"No clip fell into {split}: with few clips choose other --splits.")
    if exported.rejected:
        print(f"{exported.rejected} results that the gate rejected are left out.")
    for reason in exported.left_out:
        print(f"left out: {reason}")
    print(f"{options.target} is written; its README.md says what is in it and how it is read.")
