"""Say what a model needs on a card before it is downloaded: what fits, what is streamed, how long it takes."""

import argparse
import json
import sys
from dataclasses import asdict

from ..job.full_size.report import Planned, lines, plan
from ..models.plan.releases import RELEASES, find_release
from .files import parse_size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, choices=list(RELEASES), help="the release")
    parser.add_argument("--gpu", required=True, help='memory ("16GB") or name ("RTX 4090") of the card')
    parser.add_argument("--size", help="height x width in pixels, such as 704x1280; default: the model's own")
    parser.add_argument("--frames", type=int, help="of the clip; default: one window")
    parser.add_argument("--controls", type=int, help="maps at once; default: as in the shipped workflow")
    parser.add_argument("--cfg", type=float, help="guidance, 1 is off and halves the sampling; default: the release's")
    parser.add_argument("--steps", type=int, help="of each pass; default: the release's")
    parser.add_argument("--json", action="store_true", help="the plan as JSON, in bytes and operations")


def run(options: argparse.Namespace) -> None:
    traced: list[str] = []

    def tell(part: str) -> None:
        if not traced:
            print("Not all of this was traced before: up to a minute, longer on a busy machine.", file=sys.stderr)
        traced.append(part)
        print(f"  {part}", file=sys.stderr, flush=True)

    size = parse_size(options.size) if options.size else None
    answer = plan(
        find_release(options.model), options.gpu, size, options.frames, options.controls, options.cfg, options.steps,
        tell,
    )  # fmt: skip
    print(json.dumps(as_json(answer), indent=2) if options.json else "\n".join(lines(answer)))


def as_json(answer: Planned) -> dict:
    """A plan's numbers; `way` is null where nothing fits."""
    way = answer.way
    numbers = {
        "model": answer.release.name,
        "gpu_gib": answer.memory,
        "size": list(answer.costs.size),
        "frames": answer.job.frames,
        "controls": answer.costs.controls,
        "cfg": answer.job.cfg,
        "steps": answer.job.steps,
        "helps_most": answer.help,
        "way": None,
    }
    if way is not None:
        numbers["way"] = {
            "weights": way.weights,
            "placement": way.placement,
            "streamed_bytes": way.streamed,
            "conditions_in_a_batch": 1 if answer.release.reads else way.together,
            "window": way.costs.frames,
            "windows": way.windows,
            "tiled_vae": way.tiled,
            "peak_bytes": way.stages,
            "step": asdict(way.costs.two if way.together == 2 else way.costs.one),
            "flops": way.work.flops,
            "swept_bytes": way.work.swept,
            "least_seconds": {card.name: round(way.seconds(card), 1) for card in answer.cards},
        }
    return numbers
