#!/usr/bin/env python3
"""Trace every release at its own size, write pipeline_core/models/plan/counts.json and the tables of docs/models.md.

python scripts/make_plan.py                 # traces on two processes: a minute on two cores that are free
python scripts/make_plan.py --docs          # the tables alone, from the counts that are there
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline_core.job.full_size.tables import with_tables  # noqa: E402
from pipeline_core.models.plan.counts import COUNTS, Costs, as_json  # noqa: E402
from pipeline_core.models.plan.networks import Studio  # noqa: E402
from pipeline_core.models.plan.releases import RELEASES  # noqa: E402
from pipeline_core.models.plan.tracing import trace  # noqa: E402

DOCS = ROOT / "docs" / "models.md"


def own_costs(name: str, studio: Studio) -> Costs:
    """A release's costs at its own size, window and controls."""
    release = RELEASES[name]
    return trace(release, release.size, release.family.window, release.controls, studio=studio)


def counted(names: list[str]) -> tuple[dict[str, dict], float]:
    """The counts of releases that share their networks, and the processor seconds it took."""
    studio, start = Studio(), time.process_time()
    counts = {name: as_json(own_costs(name, studio)) for name in names}
    return counts, time.process_time() - start


def groups(names: list[str]) -> list[list[str]]:
    """Releases of one VAE together."""
    by_vae: dict[tuple[str, str], list[str]] = {}
    for name in names:
        by_vae.setdefault((RELEASES[name].vae, RELEASES[name].vae_type), []).append(name)
    return sorted(by_vae.values(), key=len, reverse=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--docs", action="store_true", help="only the tables of docs/models.md")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("names", nargs="*", help="releases to trace; default: all")
    options = parser.parse_args()
    if not options.docs:
        counts = json.loads(COUNTS.read_text(encoding="utf-8")) if COUNTS.exists() else {}
        with ProcessPoolExecutor(options.jobs) as pool:
            for values, seconds in pool.map(counted, groups(options.names or list(RELEASES))):
                counts |= values
                print(f"{', '.join(values)}: {seconds:.0f} s of a processor", flush=True)
        ordered = {name: counts[name] for name in RELEASES if name in counts}
        COUNTS.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
    DOCS.write_text(with_tables(DOCS.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
