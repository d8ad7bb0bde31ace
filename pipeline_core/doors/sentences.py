"""What the system and libraries raise, as one sentence for the person who can change it."""

from __future__ import annotations

import errno

# What an errno means to somebody who chose a path: (what happened, what to change).
_ERRNOS = {
    errno.ENOENT: ("does not exist", "change the path"),
    errno.EACCES: ("may not be used by this user", "change its permissions or the path"),
    errno.EPERM: ("may not be used by this user", "change its permissions or the path"),
    errno.EROFS: ("is on a read-only disk", "choose another folder"),
    errno.ENOSPC: ("found the disk full", "free some space or choose another folder"),
    errno.EDQUOT: ("found the disk quota used up", "free some space or choose another folder"),
    errno.EFBIG: ("would be larger than files may be here", "raise the limit or choose another folder"),
    errno.ENAMETOOLONG: ("has too long a name", "choose a shorter one"),
    errno.ELOOP: ("is a link that leads to itself", "change the path"),
    errno.ENOTDIR: ("lies in something that is no folder", "change the path"),
    errno.EISDIR: ("is a folder where a file is needed", "change the path"),
    errno.EEXIST: ("is there already", "move it away or change the path"),
    errno.ENOTEMPTY: ("is a folder with something else in it", "move it away or change the path"),
    errno.EMFILE: ("found too many files open", "raise the limit on open files"),
    errno.EIO: ("lies on a disk that failed", "check the disk"),
}


def sentence(error: BaseException, change: str = "") -> str | None:
    """The sentence for what a library or the system raised: what came, what to change; None for a fault of this pack.

    Known are the system's faults with files (OSError, FFmpeg's among them), memory that is used up (Python's, torch's),
    nesting that is too deep, text that is not Unicode, and what safetensors, zip and pictures say of damaged files.
    change: what to do about a fault with a file, for a caller who knows better than its path.
    """
    if isinstance(error, BrokenPipeError):
        return "Whoever read the output stopped reading: let it read to the end, or write to a file."
    if isinstance(error, OSError):
        return _of_system(error, change)
    if isinstance(error, MemoryError) or _is_out_of_memory(error):
        return "The memory is used up: make the clip smaller or shorter, or use a machine with more."
    if isinstance(error, RecursionError):
        return "Something that came is nested too deeply: give plain files."
    if isinstance(error, UnicodeError):
        return "A text or file name that came is not Unicode (UTF-8): write it again or rename the file."
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    if name in _DAMAGED:
        return f"A file that came is damaged ({first_line(error)}): give a whole one."
    return None


_DAMAGED = {
    "safetensors_rust.SafetensorError",
    "safetensors.SafetensorError",
    "builtins.SafetensorError",
    "zipfile.BadZipFile",
    "PIL.Image.DecompressionBombError",
}


def _of_system(error: OSError, change: str) -> str:
    what = "A file" if error.filename is None else str(_text(error.filename))
    if error.errno in _ERRNOS:
        happened, usual = _ERRNOS[error.errno]
        return f"{what} {happened}: {change or usual}."
    return f"{what} cannot be used ({error.strerror or first_line(error)}): {change or 'change the path'}."


def _text(name: object) -> str:
    """A path as text that any stream can print."""
    name = name.decode(errors="backslashreplace") if isinstance(name, bytes) else str(name)
    return name.encode(errors="backslashreplace").decode()


def _is_out_of_memory(error: BaseException) -> bool:
    # torch's CPU allocator raises a bare RuntimeError; its devices' class is not looked up, for torch may not be there.
    return type(error).__name__ == "OutOfMemoryError" or (
        isinstance(error, RuntimeError) and "allocate memory" in str(error)
    )


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its kind, without a full stop."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
