"""A case may take so much of a processor and of memory, and no more; what every door did with its cases is counted."""

import faulthandler
import functools
import resource
import signal
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest

SECONDS, BYTES = 20, 2 << 30  # of processor time: on a busy machine the clock says little
HUNG = 30 * SECONDS  # by the clock: what waits for ever uses no processor
STATUS, PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")  # Linux; elsewhere only the time is bounded


@contextmanager
def bounded(tally: Counter):
    """Around one case: it fails, whatever it catches, past SECONDS or with a peak of memory BYTES above its start.

    tally gets the longest case's "seconds" and the largest peak's "bytes". A hang ends the process.
    """

    def over(*_):
        # No Exception, so that no door makes a sentence of it.
        pytest.fail(f"a case took more than {SECONDS} s of processor time")

    faulthandler.dump_traceback_later(HUNG, exit=True)
    before = signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        with _memory(tally):
            begun = time.process_time()
            yield
            tally["seconds"] = max(tally["seconds"], time.process_time() - begun)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        faulthandler.cancel_dump_traceback_later()


@contextmanager
def _memory(tally: Counter):
    if not PEAK.exists():
        yield
        return
    PEAK.write_text("5")  # the peak begins anew
    begun, limits = _status("VmRSS"), resource.getrlimit(resource.RLIMIT_AS)
    # Twice as much address space as memory: threads of decoders reserve theirs, and what is not there is not asked for.
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + 2 * BYTES, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    grown = _status("VmHWM") - begun
    assert grown < BYTES, f"a case took {grown / 2**20:.0f} MiB"
    tally["bytes"] = max(tally["bytes"], grown)


def _status(name: str) -> int:
    return next(int(line.split()[1]) << 10 for line in STATUS.read_text().splitlines() if line.startswith(name))


def counted(case):
    """A case within its bounds, and its end in `tally` of the function it gives: "accepted" for what is true, or None;
    "refused" for False."""
    tally = Counter()

    @functools.wraps(case)
    def one(*arguments, **named):
        with bounded(tally):
            accepted = case(*arguments, **named)
        tally["refused" if accepted is False else "accepted"] += 1

    one.tally = tally
    return one
