"""How a command ends: done, one sentence about what came from outside, or cancelled. Imports nothing heavy."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

DONE, BAD_INPUT, CANCELLED = 0, 2, 130


def ended(work: Callable, *arguments) -> int:
    """Call `work` and return the exit code: 0, 2 after a UserError or a fault of files and memory, 130 after a cancel.

    What is said goes to stderr in one line. A fault of this pack itself is raised as it is.
    """
    try:
        with _terminated_as_cancelled():
            work(*arguments)
            sys.stdout.flush()  # a disk that is full or a reader that is gone shows here
    except KeyboardInterrupt as cancel:
        print(
            "cancelled" + "".join(f"; {reason}" for reason in cancel.args if isinstance(reason, str)), file=sys.stderr
        )
        return CANCELLED
    except Exception as error:
        from ..doors.sentences import sentence
        from ..errors import UserError

        reason = str(error) if isinstance(error, UserError) else sentence(error)
        if reason is None:
            raise
        if isinstance(error, OSError):
            _let_go_of_stdout()
        print(f"error: {' '.join(reason.splitlines())}", file=sys.stderr)
        return BAD_INPUT
    return DONE


@contextmanager
def _terminated_as_cancelled() -> Iterator[None]:
    """SIGTERM as Ctrl-C: files are put away either way. Left alone outside the main thread, which alone has signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _cancel) for number in (signal.SIGINT, signal.SIGTERM)}
    hook, sys.unraisablehook = sys.unraisablehook, _cancel_again(sys.unraisablehook)
    try:
        yield
    finally:
        _cancelled.clear()
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


# Where a signal finds Python inside a destructor or a library's callback, or a library that catches everything, its
# KeyboardInterrupt goes no further. So it is noted here too.
_cancelled = threading.Event()


def _cancel(number: int, frame) -> None:
    _cancelled.set()
    raise KeyboardInterrupt


def heed_cancel() -> None:
    """Raise KeyboardInterrupt where the command was cancelled, and goes on all the same."""
    if _cancelled.is_set():
        _cancelled.clear()  # heard: it is not to be sent again while files are put away
        raise KeyboardInterrupt


@contextmanager
def after_the_step() -> Iterator[Callable[[], bool]]:
    """For work whose steps are better finished: gives stop(), true once Ctrl-C or SIGTERM came. A second one cancels
    at once. Left alone outside the main thread."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def again() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(number: int, frame) -> None:
        asked.set()
        again()

    try:
        for number in before:
            signal.signal(number, ask)
        yield asked.is_set
    finally:
        again()


def _cancel_again(usual: Callable) -> Callable:
    """For sys.unraisablehook: a cancel that Python had to drop is sent again, as soon as the dropper has returned."""

    def dropped(what) -> None:
        if not issubclass(what.exc_type, KeyboardInterrupt):
            usual(what)
            return
        again = threading.Timer(0.05, send)
        again.daemon = True
        again.start()

    def send() -> None:
        if _cancelled.is_set():
            signal.raise_signal(signal.SIGTERM)

    return dropped


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """While packages are imported: Ctrl-C and SIGTERM end the process then and there, for nothing has been begun.

    A KeyboardInterrupt is no use here: packages catch it, C code drops it, and Python forgets what the exit code was.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _leave) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, frame) -> None:
    os.write(sys.stderr.fileno(), b"cancelled\n")
    os._exit(CANCELLED)


def _let_go_of_stdout() -> None:
    """Where stdout itself is what failed, keep Python from trying it again at exit."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
