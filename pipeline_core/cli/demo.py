"""Render a held-out scene, enhance it with the embedded model and show what came of it."""

import argparse
from pathlib import Path

from ..conditions.buffers import BuffersWriter, open_buffers
from ..doors import writable
from ..job.files import enhance_file
from ..job.settings import EnhanceSettings
from ..metrics.extras import Extras
from ..metrics.report import environment, format_table
from ..models.folders.loading import load_video_model
from ..video import media
from ..video.facts import examine
from ..video.files import atomic_file, atomic_folder, write_json
from ..video.sheet import contact_sheet, side_by_side
from .bars import progress_bar
from .files import add_device
from .metrics import measure
from .render import check_drive, render_file

SEED, FRAMES, FPS, SIZE = 910_003, 49, 24.0, (96, 160)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", type=Path, default=Path("out/demo"), help="folder for the results")
    parser.add_argument("--seed", type=int, default=SEED, help="scene number; seeds below 900000 were trained on")
    parser.add_argument("--frames", type=int, default=FRAMES)
    add_device(parser)


def run(options: argparse.Namespace) -> None:
    check_drive(options.seed, options.frames, FPS)
    final = options.output
    to_make = [above for above in final.absolute().parents if not above.exists()]
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        if final.is_dir():
            BuffersWriter(final / "source_buffers", final)  # refuses a folder that is something else
        writable(final, "the demo", folder=True)
        with atomic_folder(final) as folder:
            report = make(options, folder)
            write_json(folder / "report.json", named(report, folder, final))
    finally:
        for above in to_make:
            if above.is_dir() and not any(above.iterdir()):
                above.rmdir()
    print(format_table(report["metrics"]))
    print(f"Open {final / 'contact_sheet.png'} and {final / 'side_by_side.mp4'}.")


def named(value, folder: Path, final: Path):
    """The report with the folder's final name in its paths."""
    if isinstance(value, dict):
        return {key: named(held, folder, final) for key, held in value.items()}
    if isinstance(value, list):
        return [named(held, folder, final) for held in value]
    return value.replace(str(folder), str(final)) if isinstance(value, str) else value


def make(options: argparse.Namespace, folder: Path) -> dict:
    """Everything of the demo but its report, into a folder; returns the report."""
    source, twin, result = folder / "source.mp4", folder / "twin.mp4", folder / "enhanced.mp4"
    render_file(options.seed, options.frames, FPS, SIZE, "synthetic", source, folder / "source_buffers")
    render_file(options.seed, options.frames, FPS, SIZE, "photoreal", twin, None)
    buffers = open_buffers(folder / "source_buffers", source)
    model = load_video_model(device=options.device)
    with progress_bar("enhance", "step") as progress:
        report = enhance_file(examine(source), result, model, EnhanceSettings(), buffers, say=print, progress=progress)
    report["environment"] = environment()
    report["metrics"] = measure(source, result, None, twin, Extras(device=options.device))
    clips = {
        "synthetic source": media.read_clip(source),
        "enhanced": media.read_clip(result),
        "photoreal twin (what a perfect result would be; never shown to the model)": media.read_clip(twin),
    }
    with atomic_file(folder / "contact_sheet.png") as unfinished:
        contact_sheet(clips).save(unfinished, format="PNG")
    media.write_clip(
        folder / "side_by_side.mp4", side_by_side([media.read_frames(source), media.read_frames(result)]), FPS
    )
    return report
