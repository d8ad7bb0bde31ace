"""Keeps a real ComfyUI busy with valid, invalid and cancelled prompts, and says how they ended and how memory grew.

    python scripts/soak.py --minutes 60 --prompts 500 --comfyui ~/comfy/ComfyUI

Starts its own server of that ComfyUI on the CPU, in a folder of its own that it removes again, with this pack inside.
With --control the prompts are of ComfyUI's own nodes, to tell its growth from the pack's.
Exit codes: 0 sound, 1 the server died, a prompt got stuck, ended otherwise than it should, or memory grew by more than
--growth of what it was after the warm-up; 2 bad input.
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from pathlib import Path

from client.comfy_client import Client
from client.errors import ClientError
from client.runs import failure, queue
from client.workflow_graph import read_graph

ROOT = Path(__file__).resolve().parents[1]
STUCK = 300  # seconds until a prompt counts as stuck
WARM_UP = 0.2  # of the prompts: caches fill until then
# Shipped graphs that begin with Demo Drive, and what else the one of one node is set to.
GRAPHS = ("enhance_one_node", "realism_demo", "long_video_sampler", "calibrated_sdedit")
SETTINGS = ("", "start = noise", "start = calibration", "start = sdedit", "start = noise\nhandover = fused")
# What no prompt may ask of these nodes, and what must then be said in words, not by a crash.
INVALID = (
    ("VideoRealismDemoDrive", "frames", -1),
    ("VideoRealismDemoDrive", "width", 10**9),
    ("VideoRealismDemoDrive", "style", "none"),
    ("VideoRealismEnhanceRealism", "realism", 7.0),
    ("VideoRealismEnhanceRealism", "steps", "many"),
    ("VideoRealismEnhanceRealism", "settings", "cfg = nan"),
    ("VideoRealismEnhanceRealism", "settings", "a" * 300 + "\0"),
    ("VideoRealismEnhanceRealism", "settings", "{" * 5000),
    ("VideoRealismEnhanceRealism", "frames", ["none", 0]),
)
# What may come in place of any input of the pack's nodes; some take some of them.
ODD = (-1, 10**9, 1e308, float("nan"), "none", "", "a" * 300 + "\0", None, {}, ["none", 0], ["1", 99])
EXPECTED = {
    "valid": {"success"},
    "invalid": {"refused", "error"},
    "odd": {"refused", "error", "success"},
    "cancelled": {"interrupted", "success", "removed"},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--prompts", type=int, default=10**9, help="end after so many; default: when the time is over")
    parser.add_argument("--control", action="store_true", help="prompts of ComfyUI's own nodes only")
    parser.add_argument("--comfyui", type=Path, default=Path("~/comfy/ComfyUI"), help="default: %(default)s")
    parser.add_argument("--python", help="ComfyUI's; default: of its own .venv, else the one of this script")
    parser.add_argument("--growth", type=float, default=0.02, help="of the memory, that is still sound")
    parser.add_argument("--seed", type=int, default=0, help="of the prompts")
    options = parser.parse_args()
    comfyui = options.comfyui.expanduser()
    if not (comfyui / "main.py").is_file():
        print(f"{comfyui} holds no main.py of ComfyUI; change --comfyui.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="soak-") as base:
        own = comfyui / ".venv" / "bin" / "python"
        python = options.python or (str(own) if own.is_file() else sys.executable)
        client, process = start(comfyui, python, Path(base))
        try:
            return soak(client, process, options)
        except ClientError as problem:
            print(problem, file=sys.stderr)
            return 1
        finally:
            process.terminate()
            process.wait()


def start(comfyui: Path, python: str, base: Path) -> tuple[Client, subprocess.Popen]:
    """A server with this pack in an empty base folder; ClientError where it does not come up."""
    for name in ("user", "input", "output", "temp", "models", "custom_nodes"):
        (base / name).mkdir()
    (base / "custom_nodes" / "ComfyUI-VideoRealism").symlink_to(ROOT, target_is_directory=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    flags = ["--cpu", "--port", str(port), "--base-directory", str(base), "--disable-auto-launch"]
    flags += ["--database-url", f"sqlite:///{base}/user/comfyui.db"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    with (base / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [python, "main.py", *flags], cwd=comfyui, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    client = Client(f"127.0.0.1:{port}")
    for _ in range(600):
        if process.poll() is not None:
            raise ClientError("ComfyUI ended while starting:\n" + (base / "server.log").read_text()[-2000:])
        try:
            client.get("/system_stats")
            return client, process
        except ClientError:
            time.sleep(0.5)
    process.terminate()
    raise ClientError("ComfyUI did not answer within 300 s.")


def soak(client: Client, process: subprocess.Popen, options: argparse.Namespace) -> int:
    """Prompt after prompt until the time is over; prints the counts and the memory, returns the exit code."""
    pick, ends, wrong = random.Random(options.seed), Counter(), []
    end_of_time, memory = time.monotonic() + options.minutes * 60, []
    while time.monotonic() < end_of_time and len(memory) < options.prompts:
        kind = "valid" if options.control else pick.choices(tuple(EXPECTED), (4, 1, 1, 2))[0]
        end = run(client, own_prompt(pick) if options.control else prompt(pick, kind), kind, pick)
        ends[f"{kind}: {end}"] += 1
        if end not in EXPECTED[kind]:
            wrong.append(f"{kind} prompt {sum(ends.values())} ended with {end}")
        if process.poll() is not None:
            wrong.append("the server died")
            break
        memory.append(resident(process.pid))
        if len(memory) % 25 == 0:
            print(f"{len(memory):6d}  prompts, {memory[-1] / 2**20:.0f} MiB", flush=True)
    for what, count in sorted(ends.items()):
        print(f"{count:6d}  {what}")
    warm = memory[int(WARM_UP * len(memory)) :] or [0]
    third = max(1, len(warm) // 3)
    before, after = max(warm[:third]), max(warm[-third:])
    growth = after / before - 1 if before else 0.0
    print(f"memory after the warm-up {before / 2**20:.0f} MiB, at the end {after / 2**20:.0f} MiB ({growth:+.1%})")
    if growth > options.growth:
        wrong.append(f"memory grew by {growth:.1%}, more than {options.growth:.1%}")
    print("\n".join(wrong) or "sound")
    return 1 if wrong else 0


def prompt(pick: random.Random, kind: str) -> dict:
    """A shipped graph, small, with other numbers every time; an invalid or odd one has one input spoiled."""
    graph = read_graph(ROOT / "workflows" / "api" / f"{pick.choice(GRAPHS)}.api.json")
    seed, frames = pick.randrange(800_000, 900_000), pick.choice((5, 5, 9, 17))
    steps = 20 if kind == "cancelled" else 8  # fewer are refused by the exact inversion
    sizes = {"scene_seed": seed, "frames": frames, "width": 80, "height": 48, "steps": steps, "seed": seed}
    sizes |= {"window": 9, "overlap": 1, "low": 0.5}
    nodes = [(node["class_type"], node["inputs"]) for node in graph.values()]
    for _, inputs in nodes:
        inputs.update({name: new for name, new in sizes.items() if isinstance(inputs.get(name), int | float)})
        if "settings" in inputs:
            inputs["settings"] = pick.choice(SETTINGS)
    ours = [pair for pair in nodes if pair[0].startswith("VideoRealism")]
    if kind == "odd":
        inputs = pick.choice(ours)[1]
        inputs[pick.choice(sorted(inputs))] = pick.choice(ODD)
    if kind == "invalid":
        name, field, value = pick.choice([bad for bad in INVALID if bad[0] in dict(ours)])
        dict(ours)[name][field] = value
    return graph


def own_prompt(pick: random.Random) -> dict:
    """A prompt of ComfyUI's own nodes: pictures scaled and written, as many and as large as a prompt of the pack's."""
    picture = {"width": 80, "height": 48, "batch_size": pick.choice((5, 9, 17)), "color": pick.randrange(2**24)}
    scaled = {"image": ["1", 0], "upscale_method": "bicubic", "width": 320, "height": 192, "crop": "disabled"}
    saved = {"video": ["4", 0], "filename_prefix": "video/own", "format": "auto", "codec": "auto"}
    return {
        "1": {"class_type": "EmptyImage", "inputs": picture},
        "2": {"class_type": "ImageScale", "inputs": scaled},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "own"}},
        "4": {"class_type": "CreateVideo", "inputs": {"images": ["2", 0], "fps": 24.0}},
        "5": {"class_type": "SaveVideo", "inputs": saved},
    }


def run(client: Client, graph: dict, kind: str, pick: random.Random) -> str:
    """How one prompt ended: success, error, interrupted, refused, removed (from the queue) or stuck."""
    try:
        number = queue(client, graph, uuid.uuid4().hex)
    except ClientError as refused:
        if "No ComfyUI answers" in str(refused):
            raise
        return "refused"
    if kind == "cancelled":
        time.sleep(pick.random() * 2)
        client.cancel(number)
    deadline = time.monotonic() + STUCK
    while time.monotonic() < deadline:
        entry = client.get(f"/history/{number}").get(number)
        if entry:
            told = dict(entry["status"]["messages"])
            if kind in ("valid", "cancelled") and "execution_error" in told:
                print(failure(graph, told["execution_error"]))
            ends = {"execution_error": "error", "execution_interrupted": "interrupted", "execution_success": "success"}
            return next((end for name, end in ends.items() if name in told), "unknown")
        waiting = client.get("/queue")
        if not waiting["queue_running"] and not waiting["queue_pending"] and kind == "cancelled":
            return "interrupted" if client.get(f"/history/{number}") else "removed"
        time.sleep(0.05)
    return "stuck"


def resident(pid: int) -> int:
    """Bytes of memory a process has, from Linux's own account."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.exit(main())
