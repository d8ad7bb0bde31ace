"""One clip in, one row out: enhanced, measured, judged. Never raises, whatever the clip is."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
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
from .recipe import Variant
from .rows import DONE, INPUT, MACHINE, STOPPED, Task, new_row


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
) -> dict:
    """Make a variant of a clip in the batch's folder `out`, as an unfinished clip, and return its row.

    hashes: of what it is made from, as `make_plan` gives them. The caller writes the row, which puts the clip into its
    place (`write_row`). Status "failed" has a reason in one sentence and whose fault it was: of the "input" (another
    attempt would fail the same way) or of the "machine". progress: as `enhance` calls it. stop: asked after each
    window; once it is true the status is "stopped", and the finished windows are there for the next attempt.
    """
    task = Task(source, variant, hashes)
    row, begun = new_row(task, attempt), time.monotonic()
    try:
        _make(task, out, maker, row, progress, stop)
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


def _make(task: Task, out: Path, maker: Maker, row: dict, progress: Progress | None, stop: Callable[[], bool]) -> None:
    """Fill the row; UserError for a clip that cannot be enhanced, Stop between two windows."""
    source, variant = task.source, task.variant
    facts = examine(source.clip)
    facts.refuse_damage("")
    row |= {"frames": facts.info.frames, "size": list(facts.size), "fps": float(facts.info.fps)}
    imported = out / "buffers" / source.id
    buffers = source_buffers(source, imported)
    if buffers is not None:
        row["input"]["buffers"] = str(buffers.folder.absolute())
    target = task.unfinished(out)
    target.parent.mkdir(parents=True, exist_ok=True)

    def window_kept() -> None:
        if stop():
            raise Stop

    begun = time.monotonic()
    report = maker.enhance(facts, target, variant, buffers, progress, window_kept)
    row["timings"]["enhance_seconds"] = round(time.monotonic() - begun, 3)
    row["settings"], row["notes"] = report["settings"], report["notes"]
    row["prompts"] = {name: report["settings"][name] for name in ("prompt", "negative_prompt", "inversion_prompt")}
    row["verdict"] = {"accepted": True, "checks": [], "attempts": 1}
    row["status"], row["output"] = DONE, task.output(out).relative_to(out).as_posix()
    row["hashes"]["output"] = fingerprint(target)
