"""Keeps a real ComfyUI busy with valid, invalid and cancelled prompts, and says how they ended and how memory grew.

    python scripts/soak.py --minutes 60 --comfyui ~/comfy/ComfyUI

Starts its own server of that ComfyUI on the CPU, in a folder of its own that it removes again, with this pack inside.
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
from client.runs import failure, history, queue
from client.workflow_graph import read_graph

ROOT = Path(__file__).resolve().parents[1]
STUCK = 300  # seconds until a prompt counts as stuck
WARM_UP = 0.2  # of the time: caches fill until then
# What no prompt may ask of Demo Drive and Enhance Realism, and what must then be said in words, not by a crash.
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
EXPECTED = {"valid": {"success"}, "invalid": {"refused", "error"}, "cancelled": {"interrupted", "success", "removed"}}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
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
    begun, memory = time.monotonic(), []
    while (gone := time.monotonic() - begun) < options.minutes * 60:
        kind = pick.choices(("valid", "invalid", "cancelled"), (2, 1, 1))[0]
        end = run(client, prompt(pick, kind), kind, pick)
        ends[f"{kind}: {end}"] += 1
        if end not in EXPECTED[kind]:
            wrong.append(f"{kind} prompt {sum(ends.values())} ended with {end}")
        if process.poll() is not None:
            wrong.append("the server died")
            break
        memory.append((gone, resident(process.pid)))
    for what, count in sorted(ends.items()):
        print(f"{count:6d}  {what}")
    warm = [size for gone, size in memory if gone >= WARM_UP * options.minutes * 60] or [size for _, size in memory]
    third = max(1, len(warm) // 3)
    before, after = max(warm[:third]), max(warm[-third:])
    growth = after / before - 1
    print(f"memory after the warm-up {before / 2**20:.0f} MiB, at the end {after / 2**20:.0f} MiB ({growth:+.1%})")
    if growth > options.growth:
        wrong.append(f"memory grew by {growth:.1%}, more than {options.growth:.1%}")
    print("\n".join(wrong) or "sound")
    return 1 if wrong else 0


def prompt(pick: random.Random, kind: str) -> dict:
    """The shipped one-node graph, small, with other numbers every time; an invalid one has one input spoiled."""
    graph = read_graph(ROOT / "workflows" / "api" / "enhance_one_node.api.json")
    nodes = {node["class_type"]: node["inputs"] for node in graph.values()}
    seed, frames = pick.randrange(800_000, 900_000), pick.choice((5, 9, 17))
    nodes["VideoRealismDemoDrive"] |= {"scene_seed": seed, "frames": frames, "width": 80, "height": 48}
    steps = 20 if kind == "cancelled" else 8  # fewer are refused by the exact inversion
    nodes["VideoRealismEnhanceRealism"] |= {"steps": steps, "seed": pick.randrange(2**31)}
    if kind == "invalid":
        name, field, value = pick.choice(INVALID)
        nodes[name][field] = value
    return graph


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
            told = dict(history(client, number)["status"]["messages"])
            if kind != "invalid" and "execution_error" in told:
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
