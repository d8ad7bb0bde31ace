"""Render clips of people, orbits and layers with their truth: OUT --clips N --kind people,orbit; run again, it goes on.

People come with joints (COCO keypoints), layers with alpha, every clip with cameras (COLMAP's text) and captions.
"""

import argparse
from pathlib import Path

from ..cg.make import METADATA, CgSettings, check_folder, make_clips
from ..doors import writable
from ..doors.limits import RATES, SEEDS, check_range
from ..errors import UserError
from ..video.files import only_run
from ..world import STYLES
from ..world.studio.motions import MOTIONS
from ..world.studio.render import QUALITIES
from ..world.studio.stage import ASSETS, KINDS
from .bars import progress_bar
from .files import parse_size

CLIPS, FRAMES = (1, 100_000), (1, 960)  # frames: a clip is rendered whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the clips; finished ones stay")
    parser.add_argument("--clips", type=int, default=4, help="of each kind, default: %(default)d")
    parser.add_argument("--kind", default="people,orbit", help=f"some of {','.join(KINDS)}; default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the first clip; the others follow")
    parser.add_argument("--frames", type=int, default=49)
    parser.add_argument("--fps", type=float, default=24.0)
    parser.add_argument("--size", default="96x160", help="HEIGHTxWIDTH in pixels")
    parser.add_argument("--style", choices=STYLES, default="synthetic")
    parser.add_argument("--quality", choices=QUALITIES, default="high", help="rays a pixel: one, or four")
    parser.add_argument("--assets", choices=ASSETS, default="high", help="how detailed bodies and things are")
    parser.add_argument(
        "--motions", default=",".join(MOTIONS), help="what people may do, some of the default: %(default)s"
    )
    parser.add_argument("--sweep", type=float, help="degrees of orbits and turns, up to 360; default: each its own")
    parser.add_argument("--tag", choices=("on", "off"), default="off", help="say in captions that clips are rendered")
    parser.add_argument("--buffers", action="store_true", help="a simulator's buffers beside every clip too")


def run(options: argparse.Namespace) -> None:
    kinds, settings = chosen(options)
    writable(options.out, "the clips", folder=True)
    check_folder(options.out)
    with only_run(options.out / "truth", "OUT"), progress_bar("render", "clip") as progress:
        seeds = range(options.seed, options.seed + options.clips)
        rows = make_clips(options.out, kinds, seeds, settings, progress)
    print(f"{options.out / METADATA} lists the clips; {len(rows)} were asked for and are there.")


def chosen(options: argparse.Namespace) -> tuple[tuple[str, ...], CgSettings]:
    """Kinds and settings of the options; UserError for what they cannot be."""
    limits = (("clips", CLIPS), ("seed", SEEDS), ("frames", FRAMES), ("fps", RATES))
    for name, bounds in limits:
        check_range(f"--{name}", getattr(options, name), bounds)
    if options.sweep is not None:
        check_range("--sweep", options.sweep, (0, 360))
    names = {}
    for option, known in (("kind", KINDS), ("motions", tuple(MOTIONS))):
        names[option] = tuple(name.strip() for name in getattr(options, option).split(",") if name.strip())
        unknown = [name for name in names[option] if name not in known]
        if unknown or not names[option]:
            raise UserError(
                f"--{option} is {getattr(options, option)!r} but must be some of {','.join(known)}: change --{option}."
            )
    settings = CgSettings(
        options.frames, options.fps, parse_size(options.size), options.style, options.quality, options.assets,
        names["motions"], options.sweep, options.tag == "on", options.buffers,
    )  # fmt: skip
    return names["kind"], settings
