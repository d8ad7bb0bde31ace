"""The whole job on the device: the embedded model against the CPU, the demo, and the device tests."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from card.parts import Clock, Row
from card.places import Place

ROOT = Path(__file__).resolve().parents[2]
SCENE = 800_003
STARTS = ("inversion", "calibration", "noise")


def job(place: Place, small: bool, clock: Clock) -> Iterator[Row]:
    """The embedded model: float32 on the device against float32 on the CPU by start, bf16 against the same."""
    from pipeline_core.enhance import EnhanceSettings, enhance
    from pipeline_core.models import load_video_model
    from pipeline_core.world import drive_scene, render

    frames, size, steps = (9, (32, 48), 3) if small else (17, (96, 160), 8)
    clip = render(drive_scene(SCENE, frames, 24.0), range(frames), size, "synthetic").rgb

    def model(device, precision="fp32"):
        loaded = load_video_model(device=device, precision=precision)
        return replace(loaded, preset=replace(loaded.preset, window=frames, overlap=1, size=size))

    here, there = model("cpu"), model(place.device)
    for start in STARTS if not small else STARTS[:1]:
        settings = EnhanceSettings(seed=3, steps=steps, start=start)
        wanted, _ = enhance(clip, here, settings)
        with exact_convolutions():
            answer, _ = enhance(clip.to(place.device), there, settings)
        yield Row(f"start {start}, float32", float((answer.cpu() - wanted).abs().max()), "of 1, largest", 1e-3)
        if start == "inversion":
            first = wanted
    if not small or place.kind == "cpu":
        coarse, _ = enhance(clip.to(place.device), model(place.device, "auto"), EnhanceSettings(seed=3, steps=steps))
        yield Row("as it runs by default", float((coarse.cpu() - first).abs().mean()), "of 1, mean", 0.05)


def exact_convolutions():
    """cuDNN rounds the operands of float32 convolutions to 10 bits unless it is told not to."""
    rounding = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    return rounding if torch.cuda.is_available() else contextlib.nullcontext()


def demo(place: Place, small: bool, clock: Clock) -> Iterator[Row]:
    """`python -m pipeline_core demo` on the device."""
    from pipeline_core.__main__ import main

    frames = 17 if small else 49
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        begun = time.perf_counter()
        code = main(["demo", "-o", str(Path(folder) / "demo"), "--frames", str(frames), "--device", place.name])
        seconds = time.perf_counter() - begun
    yield Row("exit code", float(code or 0), "", 0.0)
    yield Row(f"{frames} frames of 160x96 with maps, twin and metrics", seconds, "s")


def device_tests(place: Place, small: bool, clock: Clock) -> Iterator[Row]:
    """tests/device on this device, by pytest in a process of its own; as long as there are minutes left."""
    tests = ["tests/device/test_conditions.py"] if small else ["tests/device"]
    environment = {**os.environ, "DEVICE_UNDER_TEST": place.name, "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=max(10.0, clock.left())
        )
    except subprocess.TimeoutExpired as late:
        said = (late.stdout or b"").decode(errors="replace")
        yield Row("device tests", None, note=f"stopped when the minutes were over, after {said.count('.')} dots")
        return
    last = (done.stdout.strip().splitlines() or ["pytest said nothing"])[-1]
    yield Row("device tests that failed", float(done.returncode != 0), "runs", 0.0, last)
    for line in [line for line in done.stdout.splitlines() if line.startswith("FAILED")][:20]:
        yield Row("failed", None, note=line.removeprefix("FAILED "))
