"""Two real servers as the engine of a batch; one is killed midway and started again, on its old address."""

import json
import subprocess
import sys
import time

import pytest
from comfy_server import ROOT, Server

from benchmarks import poison
from client import own_server
from pipeline_core.video import media

CLIPS, STEPS = 6, 24


def rows_of(out):
    return {path.parent.name: json.loads(path.read_text()) for path in out.glob("clips/*/*.json")}


@pytest.fixture
def servers(comfyui, tmp_path):
    """Starts servers by name; they are stopped at the end."""
    running = {}

    def start(name):
        running[name] = Server(*comfyui, tmp_path / name)
        running[name].wait_until_up(900)
        return running[name]

    yield start
    for server in running.values():
        server.stop()


def test_a_server_that_is_killed_loses_its_clip_to_the_other_and_takes_part_again(servers, tmp_path, monkeypatch):
    poison.make_folder(tmp_path / "in", CLIPS, ())
    one, two = servers("one"), servers("two")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "pipeline_core", "enhance-folder", str(tmp_path / "in"), str(out)]
    command += ["--engine", "comfyui", "--servers", f"{one.address},{two.address}"]
    command += [
        "--recipe",
        str(tmp_path / "in" / poison.RECIPE),
        "--steps",
        str(STEPS),
        "--start",
        "sdedit",
        "--prompt",
        "a street at night",
    ]
    process = subprocess.Popen(command, cwd=ROOT, env=own_server.environment(), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 1200
    # Killed as soon as it is seen at work, its first clip has most of its time to go: it can't be there already.
    while not two.get("/queue")["queue_running"] and time.monotonic() < deadline:
        time.sleep(0.05)
    two.process.kill()
    two.process.wait()
    monkeypatch.setattr(own_server, "free_port", lambda: two.port)
    again = servers("two")
    left = CLIPS - len(rows_of(out))
    _, said = process.communicate(timeout=1800)
    rows = rows_of(out)
    assert process.returncode == 0, said
    assert len(rows) == CLIPS and {row["status"] for row in rows.values()} == {"done"}
    # Whether it is up again within the patience of who waits for it, and nothing is said, or not: the clip it had was
    # begun once more.
    assert sorted(row["attempt"] for row in rows.values()) == [1] * (CLIPS - 1) + [2], said
    assert left < 3 or again.get("/history"), "it came back in time for one of them"
    for name, row in rows.items():
        assert media.probe(out / row["output"]).frames == row["frames"] == poison.FRAMES
        assert row["settings"]["steps"] == STEPS and row["settings"]["seed"] == row["seed"]
        assert row["prompts"]["prompt"] == "a street at night"
        lacks = any("No depth" in note or "models/perception/depth" in note for note in row["notes"])
        assert lacks != (name == "clip_000"), "the buffers came along"
    assert list((out / "leases").iterdir()) == [] and not (out / "quarantine.jsonl").exists()
