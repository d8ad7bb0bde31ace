"""Turn a simulator's folders of depth, semantic and instance pictures into the buffers folder of a clip."""

import argparse
from pathlib import Path

from ..conditions.recordings import DEPTH_SOURCES, SEMANTIC_SOURCES, import_recording
from ..errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("clip", type=Path, help="the video that the pictures belong to, one picture per frame")
    parser.add_argument("-o", "--output", type=Path, help="buffers folder to write; default: CLIP_buffers")
    parser.add_argument("--depth", type=Path, help="folder of depth pictures")
    parser.add_argument("--depth-format", default="carla", choices=DEPTH_SOURCES, help="carla: the raw 24-bit picture")
    parser.add_argument("--semantic", type=Path, help="folder of semantic pictures; default: the instance pictures")
    parser.add_argument(
        "--semantic-format",
        default="0.9.14",
        choices=SEMANTIC_SOURCES,
        help="raw tags of CARLA 0.9.14 and later or of 0.9.13 and earlier, or painted pictures",
    )
    parser.add_argument("--instance", type=Path, help="folder of CARLA's raw instance pictures")


def run(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    if not options.clip.is_file():
        raise UserError(f"The video {options.clip} does not exist: give the path of an existing video file.")
    folder = options.output or options.clip.with_name(f"{options.clip.stem}_buffers")
    with tqdm(desc="buffers", unit="frame", dynamic_ncols=True) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        made = import_recording(
            folder, options.clip, options.depth, options.semantic, options.instance,
            options.depth_format, options.semantic_format, progress,
        )  # fmt: skip
    print(f"{folder} holds {', '.join(made.channels)} of {made.frames} frames.")
