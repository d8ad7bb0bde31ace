"""Checks this pack on a graphics card within a few minutes, and writes gpu_check.json and gpu_check.md.

    python scripts/gpu_check.py --minutes 8
    python scripts/gpu_check.py --device pretend --small      (a rehearsal on a machine without a card)

torch alone is enough for the maths, the control maps and half precision; parts that need a package which is not there,
or more minutes than are left, are skipped and say so. Nothing is downloaded: the large networks get random weights.
Exit codes: 0 all that ran is within its bounds, 1 something is not, 2 bad input.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # on a bare machine the pack is not installed

from card import agreement, job, networks, precision, report  # noqa: E402
from card.parts import FAILED, Clock, Part  # noqa: E402
from card.places import PRETEND, Place  # noqa: E402

from pipeline_core.devices import best_device, chosen_device  # noqa: E402
from pipeline_core.doors.limits import check_range  # noqa: E402
from pipeline_core.errors import UserError  # noqa: E402

MODEL = ("diffusers", "transformers", "einops", "safetensors")
# The quick ones first, then what a card is wanted for; the device tests take what is left.
PARTS = (
    Part("maths", agreement.maths),
    Part("maps", agreement.maps),
    Part("precision", precision.precision),
    Part("transfer25", networks.transfer25, MODEL, least=60),
    Part("wan", networks.wan, MODEL, least=40),
    Part("job", job.job, MODEL, least=40),
    Part("demo", job.demo, (*MODEL, "av", "kornia"), least=60),
    Part("device tests", job.device_tests, (*MODEL, "pytest"), least=60),
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=8.0, help="what does not fit in is skipped (default 8)")
    parser.add_argument("--device", help="a torch device, or pretend for a rehearsal; default: the best there is")
    parser.add_argument("--small", action="store_true", help="toy sizes: whether it runs, not how fast")
    parser.add_argument("--only", nargs="+", metavar="PART", help=f"some of: {', '.join(p.name for p in PARTS)}")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/gpu_check"), help="folder of the two files")
    options = parser.parse_args(arguments)
    names = [part.name for part in PARTS]
    unknown = sorted(set(options.only or ()) - set(names))
    try:
        if unknown:
            raise UserError(f"There is no part {unknown[0]}: give some of {', '.join(names)}.")
        check_range("--minutes", options.minutes, (0.1, 600.0))
        if options.device != PRETEND:
            chosen_device(options.device)
    except UserError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    options.output.mkdir(parents=True, exist_ok=True)
    with Place(options.device or str(best_device())) as place:
        outcome = check(place, options, [part for part in PARTS if not options.only or part.name in options.only])
    print(report.table(outcome))
    print(f"Written to {options.output / 'gpu_check.json'} and {options.output / 'gpu_check.md'}.")
    return int(any(part["state"] == FAILED for part in outcome["parts"].values()))


def check(place: Place, options: argparse.Namespace, parts: list[Part]) -> dict:
    """The report; written after every part, so that a card that is taken away leaves what was measured."""
    clock = Clock(options.minutes)
    outcome = {"facts": place.facts(), "small": options.small, "minutes": options.minutes, "seconds": 0.0, "parts": {}}
    for part in parts:
        print(f"{part.name} ...", file=sys.stderr, flush=True)
        outcome["parts"][part.name] = part.run(place, options.small, clock)
        outcome["seconds"] = clock.gone()
        report.write(outcome, options.output)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
