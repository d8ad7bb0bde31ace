"""quarantine.jsonl: one line for each result that could not be made, with what reproduces it.

The rows are what counts; this file is for people, and for scripts that want the failures alone.
"""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ..job.table import SETTINGS
from ..video.files import write_text
from .clips import imported_buffers, is_recording
from .leases import claim
from .networks import NetworkChoice
from .rows import FAILED, Task, read_row

FILE = "quarantine.jsonl"
_COMMAND = ("python", "-m", "pipeline_core")


def quarantined(out: Path, task: Task, row: dict, choice: NetworkChoice) -> None:
    """Append the failure that a row tells of."""
    put_away(out, task, row, command_for(out, task, choice))


def put_away(out: Path, task: Task, row: dict, command: str) -> None:
    """`quarantined` for work that another command or a graph does again; command: how, for people."""
    file = os.open(out / FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        os.write(file, _line(task, row, command).encode())  # in one piece: other runs append too
    finally:
        os.close(file)


def rewrite(out: Path, tasks: Iterable[Task], choice: NetworkChoice) -> None:
    """Bring the file in line with the rows: of these tasks' lines those that have failed now, once each; the others'
    as they are. Left alone while another run does the same."""
    lease = claim(out / "leases", FILE)
    if lease is None:
        return
    try:
        there = {(line["id"], line["variant"]): line for line in lines(out)}
        for task in tasks:
            key, row = (task.source.id, task.variant.name), read_row(out, task)
            if row is None or row["status"] != FAILED:
                there.pop(key, None)
            elif there.get(key, {}).get("reason") != row["reason"]:
                there[key] = json.loads(_line(task, row, command_for(out, task, choice)))
        if there or (out / FILE).is_file():
            write_text(out / FILE, "".join(json.dumps(line) + "\n" for line in there.values()))
    finally:
        lease.release()


def lines(out: Path) -> Iterator[dict]:
    """What the file holds, without lines that were cut off."""
    path = out / FILE
    for text in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and {"id", "variant", "reason"} <= line.keys():
            yield line


def _line(task: Task, row: dict, command: str) -> str:
    line = {
        "id": task.source.id,
        "variant": task.variant.name,
        "reason": row["reason"],
        "command": command,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "attempts": row["attempt"],
    }
    return json.dumps(line) + "\n"


def command_for(out: Path, task: Task, choice: NetworkChoice) -> str:
    """What does the same to the clip alone, to be pasted into a shell: `enhance`, or where its recording was not read
    yet, `buffers`."""
    source, variant = task.source, task.variant
    clip, buffers = os.path.abspath(source.clip), source.buffers
    if is_recording(source):
        buffers = imported_buffers(source, out)
        if not buffers.is_dir():
            parts = ["buffers", clip, "--recording", os.path.abspath(source.buffers)]
            parts += ["--camera", source.camera] if source.camera else []
            return shlex.join([*_COMMAND, *parts, "--output", f"{source.id}_buffers"])
    parts = [*_COMMAND, "enhance", clip, "-o", f"{task.name}.mp4"]
    if buffers is not None:
        parts += ["--buffers", os.path.abspath(buffers)]
    for name, value in {**variant.settings, "seed": variant.seed}.items():
        parts += _option(name, value)
    if not variant.settings.get("simdrop"):
        choice = replace(choice, simdrop_reference=None)  # `enhance` refuses one that has nothing to do
    return shlex.join([*parts, *choice.options()])


def _option(name: str, value: object) -> list[str]:
    """A setting as the command line spells it."""
    setting = SETTINGS[name]
    option = setting.option or f"--{name.replace('_', '-')}"
    if setting.kind == "switch":
        return [option] if value else []
    if setting.kind == "interval":
        return [option, *map(str, value)]
    if setting.kind == "weights":
        return [option, ",".join(f"{control}={weight}" for control, weight in value.items()) or "none"]
    return [f"{option}={value}"]  # a text may begin with a dash
