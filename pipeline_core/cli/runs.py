"""Compare the JSON reports of several runs: one column per run, the best value of every figure marked."""

import argparse
from pathlib import Path

from ..doors import check_paths, read_json, writable
from ..errors import UserError
from ..metrics.pictures import plot_sheet
from ..metrics.report import check_report, format_runs, write_csv
from ..video.files import atomic_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reports", type=Path, nargs="+", help="JSON files of the metrics command")
    parser.add_argument("--csv", type=Path, help="write all figures as CSV")
    parser.add_argument("--plots", type=Path, help="write the per-frame plots of all runs as one PNG")


def run(options: argparse.Namespace) -> None:
    read = {f"the report {path}": path for path in options.reports}
    check_paths(read, {"--csv": options.csv, "--plots": options.plots})
    for path, what in ((options.csv, "the figures"), (options.plots, "the plots")):
        if path:
            writable(path, what)
    reports = {}
    for path in options.reports:
        name = path.stem if path.stem not in reports else str(path)
        reports[name] = read_report(path)
    sheet = plot_sheet(reports) if options.plots else None
    if options.plots and sheet is None:
        raise UserError("None of the reports has per-frame values: measure the clips again, or leave out --plots.")
    print(format_runs(reports))
    if options.csv:
        write_csv(options.csv, reports)
    if sheet is not None:
        with atomic_file(options.plots) as unfinished:
            sheet.save(unfinished, format="PNG")


def read_report(path: Path) -> dict:
    """A report of the metrics command, or the one inside a report of the demo; UserError for anything else."""
    change = "give a JSON file of the metrics command"
    content = read_json(path, change)
    return check_report(content.get("metrics", content), f"The report {path}", change)
