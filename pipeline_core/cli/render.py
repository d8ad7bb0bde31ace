"""Render a clip of the procedural driving world, with a simulator's buffers beside it."""

import argparse
from contextlib import nullcontext
from pathlib import Path

import torch

from ..conditions.buffers import BuffersWriter
from ..doors import check_paths, writable
from ..doors.limits import DRIVE, FRAMES, RATES, SEEDS, check_range
from ..errors import UserError
from ..video import media
from ..world import STYLES, drive_scene
from ..world import render as render_world
from ..world.render import frames_at_once, scene_data
from .bars import progress_bar
from .files import parse_size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, required=True, help="scene number")
    parser.add_argument("--frames", type=int, default=49)
    parser.add_argument("--fps", type=float, default=24.0)
    parser.add_argument("--size", default="96x160", help="HEIGHTxWIDTH in pixels")
    parser.add_argument("--style", choices=STYLES, default="synthetic")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the clip to write")
    parser.add_argument("--buffers", type=Path, help="folder for the buffers; default: none are written")


def run(options: argparse.Namespace) -> None:
    size = parse_size(options.size)
    check_drive(options.seed, options.frames, options.fps)
    check_paths({}, {"-o": options.output}, {"--buffers": options.buffers})
    writable(options.output, "the clip", suffixes=media.SUFFIXES)
    media.check_suffix(options.output)
    if options.buffers:
        writable(options.buffers, "the buffers", folder=True)
    render_file(
        options.seed,
        options.frames,
        options.fps,
        size,
        options.style,
        options.output,
        options.buffers,
    )


def check_drive(seed: int, frames: int, fps: float = 24.0) -> None:
    """UserError for a scene number, a length or a rate that is out of range."""
    check_range("--seed", seed, SEEDS)
    check_range("--frames", frames, FRAMES)
    check_range("--fps", fps, RATES)
    if frames / fps > DRIVE:
        raise UserError(f"{frames} frames at {fps:g} a second are more than {DRIVE} seconds: lower --frames.")


def render_file(
    seed: int, frames: int, fps: float, size: tuple[int, int], style: str, output: Path, buffers: Path | None
) -> None:
    """Render to a file in constant memory, and the buffers beside it in the same pass."""
    scene = drive_scene(seed, frames, fps)
    count = frames_at_once(size)
    chunks = [range(i, min(i + count, frames)) for i in range(0, frames, count)]
    # The buffers name the finished clip by its bytes, so their folder closes after the clip does.
    about = scene_data(scene, style)
    if buffers is not None:
        about["cameras"] = scene.camera(torch.arange(frames), *size).matrices()
    beside = nullcontext() if buffers is None else BuffersWriter(buffers, output, about)
    # Full chroma: at this size 4:2:0 alone would cost a flat-shaded clip more than ten decibels.
    with (
        progress_bar(f"render {style}", "chunk") as progress,
        beside,
        media.VideoWriter(output, fps, size, full_chroma=True) as out,
    ):
        for done, numbers in enumerate(chunks, 1):
            piece = render_world(scene, numbers, size, style)
            out.write(piece.rgb)
            if buffers is not None:
                beside.append(piece.depth, piece.classes, piece.instances, piece.flow, piece.lights)
            progress(done, len(chunks))
