"""Finished windows kept as files, so that a job that was killed goes on where it stopped.

A folder beside the output holds manifest.json and one safetensors file a window: its latent and its noise, which are
far smaller than its frames. A window is taken again only under the key it was stored with, a hash of all it
was made from: change a setting and every window is computed anew; change the end of the source and only that is.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from ..errors import UserError
from ..video.files import atomic_file, write_text
from .stream import Finished

MANIFEST = "manifest.json"
_VERSION = 1


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
    that is something else.
    """

    def __init__(self, folder: Path, about: dict) -> None:
        self.folder, self.about = Path(folder), about
        self._windows: dict[int, dict] = {}
        if self.folder.exists():
            self._windows = self._read()

    def _read(self) -> dict[int, dict]:
        path = self.folder / MANIFEST
        if not self.folder.is_dir() or (not path.is_file() and any(_not_ours(self.folder))):
            raise UserError(
                f"{self.folder} is no folder of finished windows: move it away or change the output's name."
            )
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            if manifest["version"] != _VERSION:
                return {}
            return {int(window["index"]): window for window in manifest["windows"]}
        except (OSError, ValueError, KeyError, TypeError):
            return {}  # damaged or not yet written: then nothing is finished

    @property
    def found(self) -> int:
        """How many windows the manifest names."""
        return len(self._windows)

    def load(self, index: int, key: str) -> Finished | None:
        """Window `index` if it was finished under this key and its file is whole."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        window = self._windows.get(index)
        if window is None or window["key"] != key:
            return None
        try:
            tensors = load_file(self.folder / window["file"])
            return Finished(tensors["latent"], tensors["noise"], window["entry"], key)
        except (OSError, KeyError, SafetensorError):
            return None

    def save(self, index: int, finished: Finished) -> None:
        """Keep a finished window; what was there under its index is replaced."""
        from safetensors.torch import save_file

        self.folder.mkdir(exist_ok=True)
        name = f"{index:06d}.safetensors"
        tensors = {"latent": finished.latent, "noise": finished.noise}
        with atomic_file(self.folder / name) as unfinished:
            save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, unfinished)
        self._windows[index] = {"index": index, "file": name, "key": finished.key, "entry": finished.entry}
        windows = [self._windows[i] for i in sorted(self._windows)]
        manifest = {"version": _VERSION, "about": self.about, "windows": windows}
        write_text(self.folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")

    def remove(self) -> None:
        """Delete the folder, once the output is whole."""
        if self.folder.is_dir():
            shutil.rmtree(self.folder)


def _not_ours(folder: Path) -> Iterator[Path]:
    """What is in the folder beyond windows and their unfinished files."""
    return (path for path in folder.iterdir() if path.suffix not in (".part", ".safetensors"))
