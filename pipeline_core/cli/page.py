"""Write the page to look at a batch folder's results: OUT/index.html, with thumbnails, figures and verdicts."""

import argparse
from pathlib import Path

from ..batch.page import write_page


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", metavar="OUT", type=Path, help="the folder that enhance-folder wrote")


def run(options: argparse.Namespace) -> None:
    print(f"{write_page(options.out)} is written: open it in a browser.")
