"""One clip in, one row out: enhanced, measured, judged. Never raises, whatever the clip is."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..conditions.buffers import Buffers, fingerprint
from ..doors import sentence
from ..doors.sentences import first_line
from ..errors import UserError
from ..job.progress import Progress
from ..video.facts import ClipFacts, examine
from .clips import Source, source_buffers
from .ends import Lost, Stop
from .gate import Verdict, best, rounds
from .judging import Gate
from .recipe import Variant
from .rows import DONE, INPUT, MACHINE, REJECTED, STOPPED, Task, new_row


class Maker(Protocol):
    """What a clip is enhanced by: `Networks` here, or a server."""

    def enhance(
        self, facts: ClipFacts, target: Path, variant: Variant, buffers: Buffers | None, progress: Progress | None,
        window_kept: Callable[[], None],
    ) -> dict:  # fmt: skip
        """Write the enhanced clip to `target` and return the report of `enhance_file`."""


def process(
    source: Source,
    variant: Variant,
    out: Path,
    maker: Maker,
    hashes: dict[str, str | None],
    attempt: int = 1,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
    gate: Gate | None = None,
) -> dict:
    """Make a variant of a clip in the batch's folder `out`, as an unfinished clip, and return its row.

    hashes: of what it is made from, as `make_plan` gives them. The caller writes the row, which puts the clip into its
    place (`write_row`). Status "failed" has a reason in one sentence and whose fault it was: of the "input" (another
    attempt would fail the same way) or of the "machine". progress: as `enhance` calls it. stop: asked after each
    window; once it is true the status is "stopped", and the finished windows are there for the next attempt. gate:
    None takes every result; else further tries are made as its rules say, and the best is kept.
    """
    task = Task(source, variant, hashes)
    row, begun = new_row(task, attempt), time.monotonic()
    try:
        _make(task, out, maker, row, progress, stop, gate)
    except Stop:
        row["status"] = STOPPED
    except Lost as lost:
        row |= {"fault": MACHINE, "reason": str(lost)}
    except UserError as error:
        row |= {"fault": INPUT, "reason": str(error)}
    except Exception as error:  # a clip that comes from outside and a machine that is not ours: anything at all
        traceback.print_exc(file=sys.stderr)
        said = sentence(error) or f"It failed with {type(error).__name__} ({first_line(error)[:200]}): see the log."
        row |= {"fault": MACHINE, "reason": said}
    seconds = time.monotonic() - begun
    row["timings"] = {**row["timings"], "seconds": round(seconds, 3)}
    if row["frames"]:
        row["timings"]["seconds_per_frame"] = round(seconds / row["frames"], 4)
    return row


@dataclass(frozen=True)
class _Try:
    """One result of a variant: what it was made by, and what came of it."""

    variant: Variant
    clip: Path
    report: dict
    figures: dict[str, float]
    verdict: Verdict


def _make(
    task: Task,
    out: Path,
    maker: Maker,
    row: dict,
    progress: Progress | None,
    stop: Callable[[], bool],
    gate: Gate | None,
) -> None:
    """Fill the row; UserError for a clip that cannot be enhanced, Stop between two windows."""
    source = task.source
    facts = examine(source.clip)
    facts.refuse_damage("")
    row |= {"frames": facts.info.frames, "size": list(facts.size), "fps": float(facts.info.fps)}
    buffers = source_buffers(source, out)
    if buffers is not None:
        row["input"]["buffers"] = str(buffers.folder.absolute())
    task.output(out).parent.mkdir(parents=True, exist_ok=True)

    def window_kept() -> None:
        if stop():
            raise Stop

    def tried(variant: Variant, number: int) -> _Try:
        clip = task.trial(out, number)
        report = maker.enhance(facts, clip, variant, buffers, progress, window_kept)
        measured, verdict = {}, Verdict(())
        if gate is not None:
            measured, verdict = gate.judged(source.clip, clip, buffers, report["plan"]["windows"], variant.look)
        return _Try(variant, clip, report, measured, verdict)

    begun = time.monotonic()
    chosen, count = _chosen(task.variant, gate, tried)
    row["timings"]["tries_seconds"] = round(time.monotonic() - begun, 3)
    os.replace(chosen.clip, task.unfinished(out))
    settings = chosen.report["settings"]
    row |= {
        "settings": settings,
        "notes": [*chosen.report["warnings"], *chosen.report["notes"]],
        "seed": chosen.variant.seed,
    }
    row["prompts"] = {name: settings[name] for name in ("prompt", "negative_prompt", "inversion_prompt")}
    row |= {"figures": chosen.figures, "verdict": chosen.verdict.to_dict(count), "reason": chosen.verdict.reason}
    row["status"] = DONE if chosen.verdict.accepted else REJECTED
    row["output"] = task.output(out).relative_to(out).as_posix()
    row["hashes"]["output"] = fingerprint(task.unfinished(out))


def _chosen(variant: Variant, gate: Gate | None, tried: Callable[[Variant, int], _Try]) -> tuple[_Try, int]:
    """The best of the first round that has an accepted result, or of all; and how many were made."""
    tries: list[_Try] = []
    for planned in rounds(variant, gate and gate.rules):
        tries += [tried(one, len(tries) + place) for place, one in enumerate(planned)]
        chosen = tries[best([one.verdict for one in tries])]
        if chosen.verdict.accepted:
            break
    return chosen, len(tries)
