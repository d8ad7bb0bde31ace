"""Is a source still the file that it was when the job began: told by what is in it, not by its times."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from ..errors import UserError


@dataclass(frozen=True)
class Original:
    """A file as it was: where it lies on the disk with its size and times, and the SHA-256 of its bytes."""

    status: tuple[int, ...]
    digest: str

    @classmethod
    def of(cls, path: str | os.PathLike) -> Original:
        """Reads the file once."""
        return cls(_status(path), fingerprint(path))

    def refuse_change(self, path: str | os.PathLike) -> None:
        """UserError where the file holds something else by now. It is read only where its status is another: times go
        backwards, and files are touched, copied and moved back. One that is gone was read before."""
        try:
            same = _status(path) == self.status or fingerprint(path) == self.digest
        except FileNotFoundError:
            return
        if not same:
            raise UserError(
                f"{path} has changed since the job began, so the result would be of two clips: start again with one "
                "that stays as it is."
            )


def _status(path: str | os.PathLike) -> tuple[int, ...]:
    status = os.stat(path)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def fingerprint(path: str | os.PathLike) -> str:
    """SHA-256 of a file's bytes, as hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
