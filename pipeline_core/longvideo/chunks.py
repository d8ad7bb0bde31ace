"""Finished windows kept as files, so that a job that was killed goes on where it stopped.

A folder beside the output holds manifest.json and one safetensors file a window: its latent and its noise, which are
far smaller than its frames. A window is taken again only under the key it was stored with, a hash of all it
was made from (change a setting and every window is computed anew; change the end of the source and only that is), and
only while its file has the checksum it was written with.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

import torch
from torch import Tensor

from ..doors import read_json
from ..errors import UserError
from ..video.files import atomic_file, write_text
from .stream import Finished

MANIFEST = "manifest.json"
_VERSION = 2  # 1 had no checksums
_FILE = re.compile(r"\d{6}\.safetensors")
_OURS = re.compile(rf"{_FILE.pattern}|\.({_FILE.pattern}|{re.escape(MANIFEST)})\..*\.part")


def hash_of(*parts: Tensor | str) -> str:
    """SHA-256, as hex, of texts and tensors: their values, types and shapes."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            digest.update(f"tensor {part.dtype} {tuple(part.shape)} ".encode())
            digest.update(part.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        else:
            digest.update(f"text {len(part.encode())} {part} ".encode())
    return digest.hexdigest()


class ChunkFolder:
    """The finished windows of one output. about: what the job is, plain values, for whoever reads the manifest.

    The folder is made with the first window. A file counts only once the manifest names it, and both take their names
    when they are whole: a kill at any moment leaves a folder that can be gone on from. Raises UserError for a folder
    that is something else. `damaged`: the windows whose file was not the one that was written, found by `load`.
    """

    def __init__(self, folder: Path, about: dict) -> None:
        self.folder, self.about = Path(folder), about
        self.damaged: list[int] = []
        self._windows: dict[int, dict] = {}
        self._older: set[str] = set()  # files of a manifest whose windows are not taken over
        if os.path.lexists(self.folder):
            self._read()

    def _read(self) -> None:
        path = self.folder / MANIFEST
        strange = UserError(
            f"{self.folder} is no folder of finished windows: move it away or change the output's name."
        )
        if not self.folder.is_dir():
            raise strange
        others = [p.name for p in self.folder.iterdir() if p.name != MANIFEST and not _OURS.fullmatch(p.name)]
        try:
            manifest = read_json(path, "remove the folder") if path.is_file() else {}
        except UserError:
            manifest = {}  # damaged: then nothing is finished
        windows = manifest.get("windows")
        if others and not (isinstance(manifest.get("version"), int) and isinstance(windows, list)):
            raise strange
        windows = [window for window in windows if _is_window(window)] if isinstance(windows, list) else []
        if manifest.get("version") == _VERSION:
            self._windows = {window["index"]: window for window in windows}
        else:
            self._older = {window["file"] for window in windows}

    @property
    def count(self) -> int:
        """How many windows the manifest names."""
        return len(self._windows)

    def load(self, index: int, key: str) -> Finished | None:
        """Window `index` if it was finished under this key and its file is the one that was written."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        window = self._windows.get(index)
        if window is None or window["key"] != key:
            return None
        try:
            content = (self.folder / window["file"]).read_bytes()
            if hashlib.sha256(content).hexdigest() == window.get("sha256"):
                tensors = load(content)
                return Finished(tensors["latent"], tensors["noise"], window["entry"], key)
        except (OSError, KeyError, SafetensorError):
            pass
        self.damaged.append(index)
        return None

    def save(self, index: int, finished: Finished) -> None:
        """Keep a finished window; what was there under its index is replaced."""
        from safetensors.torch import save

        name = f"{index:06d}.safetensors"
        tensors = {"latent": finished.latent, "noise": finished.noise}
        content = save({key: value.detach().cpu().contiguous() for key, value in tensors.items()})
        window = {"index": index, "file": name, "key": finished.key, "entry": finished.entry}
        windows = {**self._windows, index: {**window, "sha256": hashlib.sha256(content).hexdigest()}}
        held = [windows[i] for i in sorted(windows)]
        manifest = json.dumps({"version": _VERSION, "about": self.about, "windows": held}, indent=1)
        self.folder.mkdir(exist_ok=True)
        try:
            with atomic_file(self.folder / name) as unfinished:
                unfinished.write_bytes(content)
            write_text(self.folder / MANIFEST, manifest + "\n")
        finally:
            if not any(self.folder.iterdir()):
                self.folder.rmdir()  # a disk that was full from the start, or a cancel
        self._windows = windows

    def remove(self) -> bool:
        """Delete what is ours, once the output is whole, and the folder unless something else is in it. Is it gone."""
        if not self.folder.is_dir():
            return True
        names = {window["file"] for window in self._windows.values()} | self._older | {MANIFEST}
        for path in list(self.folder.iterdir()):
            if path.name in names or (_OURS.fullmatch(path.name) and path.suffix == ".part"):
                path.unlink()
        if any(self.folder.iterdir()):
            return False
        self.folder.rmdir()
        return True


def _is_window(window) -> bool:
    """Is it an entry of a manifest; its file lies in the folder, never elsewhere."""
    if not isinstance(window, dict) or type(window.get("index")) is not int:
        return False
    texts = all(isinstance(window.get(name), str) for name in ("file", "key"))
    return texts and bool(_FILE.fullmatch(window["file"])) and isinstance(window.get("entry"), dict)
