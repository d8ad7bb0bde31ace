"""Render a held-out scene, enhance it with the embedded model and show what came of it."""

import argparse
from pathlib import Path

from ..conditions.buffers import open_buffers
from ..errors import UserError
from ..job.settings import EnhanceSettings
from ..metrics.report import format_table
from ..metrics.suite import Extras
from ..models.folders.loading import load_video_model
from ..video import media
from ..video.facts import examine
from ..video.files import atomic_file, write_json
from ..video.sheet import contact_sheet, side_by_side
from .enhance import enhance_file
from .files import add_device
from .metrics import measure
from .render import render_file

SEED, FRAMES, FPS, SIZE = 910_003, 49, 24.0, (96, 160)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", type=Path, default=Path("out/demo"), help="folder for the results")
    parser.add_argument("--seed", type=int, default=SEED, help="scene number; seeds below 900000 were trained on")
    parser.add_argument("--frames", type=int, default=FRAMES)
    add_device(parser)


def run(options: argparse.Namespace) -> None:
    folder = options.output
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file but the demo writes a folder: change -o.")
    folder.mkdir(parents=True, exist_ok=True)
    source, twin, result = folder / "source.mp4", folder / "twin.mp4", folder / "enhanced.mp4"
    render_file(options.seed, options.frames, FPS, SIZE, "synthetic", source, folder / "source_buffers")
    render_file(options.seed, options.frames, FPS, SIZE, "photoreal", twin, None)
    buffers = open_buffers(folder / "source_buffers", source)
    model = load_video_model(device=options.device)
    report = enhance_file(examine(source), result, model, EnhanceSettings(), buffers)
    report["metrics"] = measure(source, result, None, twin, Extras(device=options.device))
    write_json(folder / "report.json", report)
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
    print(format_table(report["metrics"]))
    print(f"Open {folder / 'contact_sheet.png'} and {folder / 'side_by_side.mp4'}.")
