"""A ComfyUI of one's own: a process on the CPU in a base folder of its own, with the packs it is to load."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from client.comfy_client import Client
from client.errors import ClientError

FOLDERS = ("user", "input", "output", "temp", "models", "custom_nodes")


def python_of(comfyui: Path) -> str:
    """ComfyUI's Python: the one of a virtual environment in its folder, else the one that runs this."""
    places = [comfyui / venv / place for venv in ("venv", ".venv") for place in ("bin/python", "Scripts/python.exe")]
    return next((str(path) for path in places if path.is_file()), sys.executable)


def environment() -> dict[str, str]:
    """One thread: on small tensors more threads are slower by a factor of 10 to 100. No network at run time."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class OwnServer:
    """`process`, started at once; `client` and `address`, where it answers once it is up; `base`, its folder."""

    def __init__(self, comfyui: Path, python: str, base: Path, packs: Mapping[str, Path], *flags: str):
        """packs: {name among the custom nodes: the pack's folder}; flags: more of ComfyUI's own."""
        self.base, self.port = Path(base), free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.client = Client(self.address)
        self._log_path = self.base / "server.log"
        for name in FOLDERS:
            (self.base / name).mkdir(parents=True, exist_ok=True)
        for name, target in packs.items():
            link = self.base / "custom_nodes" / name
            if not link.is_symlink():
                link.symlink_to(target, target_is_directory=True)
        flags = (*flags, "--cpu", "--listen", "127.0.0.1", "--port", str(self.port), "--base-directory", str(self.base))
        flags += ("--database-url", f"sqlite:///{self.base}/user/comfyui.db", "--disable-auto-launch")
        with self._log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [python, "main.py", *flags], cwd=comfyui, env=environment(), stdout=log, stderr=subprocess.STDOUT
            )

    def wait_until_up(self, seconds: float = 300) -> None:
        """Returns when it answers and every pack was imported; else ClientError with the end of its log."""
        deadline = time.monotonic() + seconds
        while not self._answers():
            if self.process.poll() is not None:
                raise ClientError(f"ComfyUI ended while starting:\n{self.log(4000)}")
            if time.monotonic() > deadline:
                raise ClientError(f"ComfyUI did not answer within {seconds} s:\n{self.log(4000)}")
            time.sleep(0.2)
        if "(IMPORT FAILED)" in self.log():
            raise ClientError(f"a pack failed to import:\n{self.log(6000)}")

    def _answers(self) -> bool:
        try:
            self.client.get("/system_stats")
        except ClientError:
            return False
        return True

    def log(self, last: int | None = None) -> str:
        """What it printed so far, or the last so many characters of it."""
        text = self._log_path.read_text(errors="replace")
        return text if last is None else text[-last:]

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
