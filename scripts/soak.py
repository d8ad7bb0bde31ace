"""Keeps a real ComfyUI busy with valid, invalid and cancelled prompts, and says how they ended and how memory grew.

    python scripts/soak.py --minutes 60 --prompts 500 --comfyui ~/comfy/ComfyUI

Starts its own server of that ComfyUI on the CPU, in a folder of its own that it removes again, with this pack inside.
With --control the prompts are of ComfyUI's own nodes, to tell its growth from the pack's.
Exit codes: 0 sound, 1 the server died, a prompt got stuck, ended otherwise than it should (with an error that is no
sentence of the pack's, say), or memory grew by more than --growth of what it was after the warm-up; 2 bad input.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
import uuid
from collections import Counter
from pathlib import Path

from client.comfy_client import Client
from client.errors import ClientError
from client.files import complete_file
from client.own_server import OwnServer, python_of
from client.runs import failure, queue
from client.workflow_graph import read_graph

ROOT = Path(__file__).resolve().parents[1]
# The default cache of newer cores keeps the keys of all nodes that a cancelled prompt did not reach, half a MiB for a
# prompt of ours, in which growth of the pack's own would drown.
FLAGS = ("--cache-classic",)
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
    parser.add_argument("--python", help="ComfyUI's; default: of the venv in its folder, else the one of this script")
    parser.add_argument("--growth", type=float, default=0.02, help="of the memory, that is still sound")
    parser.add_argument("--seed", type=int, default=0, help="of the prompts")
    parser.add_argument("--json", type=Path, help="write ends, memory, versions and machine as JSON")
    options = parser.parse_args()
    comfyui = options.comfyui.expanduser()
    if not (comfyui / "main.py").is_file():
        print(f"{comfyui} holds no main.py of ComfyUI; change --comfyui.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="soak-") as base:
        python = options.python or python_of(comfyui)
        server = OwnServer(comfyui, python, Path(base), {"ComfyUI-VideoRealism": ROOT}, *FLAGS)
        try:
            server.wait_until_up()
            result = soak(server, options)
        except ClientError as problem:
            print(problem, file=sys.stderr)
            return 1
        finally:
            server.stop()
    if options.json:
        with complete_file(options.json) as path:
            path.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if result["wrong"] else 0


def soak(server: OwnServer, options: argparse.Namespace) -> dict:
    """Prompt after prompt until the time is over; prints and returns the counts, the memory and what was wrong."""
    pick, ends, wrong = random.Random(options.seed), Counter(), []
    end_of_time, memory = time.monotonic() + options.minutes * 60, []
    about = {"control": options.control, "seed": options.seed, **machine(server.client)}
    while time.monotonic() < end_of_time and len(memory) < options.prompts:
        kind = "valid" if options.control else pick.choices(tuple(EXPECTED), (4, 1, 1, 2))[0]
        end = run(server.client, own_prompt(pick) if options.control else prompt(pick, kind), kind, pick)
        ends[f"{kind}: {end}"] += 1
        if end not in EXPECTED[kind]:
            wrong.append(f"{kind} prompt {sum(ends.values())} ended with {end}")
        if server.process.poll() is not None:
            wrong.append("the server died")
            break
        memory.append(resident(server.process.pid) >> 20)
        if len(memory) % 25 == 0:
            print(f"{len(memory):6d}  prompts, {memory[-1]} MiB", flush=True)
    for what, count in sorted(ends.items()):
        print(f"{count:6d}  {what}")
    before, after, growth = growth_of(memory)
    print(f"memory after the warm-up {before} MiB, at the end {after} MiB ({growth:+.1%})")
    if growth > options.growth:
        wrong.append(f"memory grew by {growth:.1%}, more than {options.growth:.1%}")
    print("\n".join(wrong) or "sound")
    mib = {"after_warm_up": before, "at_the_end": after, "growth": round(growth, 4), "after_each_prompt": memory}
    return {"about": about, "prompts": len(memory), "ends": dict(sorted(ends.items())), "mib": mib, "wrong": wrong}


def machine(client: Client) -> dict:
    system = client.get("/system_stats")["system"]
    return {"comfyui": system["comfyui_version"], "torch": system["pytorch_version"], "cores": os.cpu_count()}


def growth_of(memory: list[int]) -> tuple[int, int, float]:
    """(most in the first third after the warm-up, most in the last third, growth from one to the other)."""
    warm = memory[int(WARM_UP * len(memory)) :] or [0]
    third = max(1, len(warm) // 3)
    before, after = max(warm[:third]), max(warm[-third:])
    return before, after, after / before - 1 if before else 0.0


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
    """How one prompt ended: success, error (a sentence of the pack's), crash (any other), interrupted, refused, removed
    (from the queue) or stuck."""
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
            client.post("/history", {"delete": [number]})  # which ComfyUI keeps of ten thousand prompts
            return end_of(graph, dict(entry["status"]["messages"]), kind)
        waiting = client.get("/queue")
        if not waiting["queue_running"] and not waiting["queue_pending"] and kind == "cancelled":
            return "interrupted" if client.get(f"/history/{number}") else "removed"
        time.sleep(0.05)
    return "stuck"


def end_of(graph: dict, messages: dict, kind: str) -> str:
    """The end that a prompt's messages, {name: content}, tell of; an error that should not be is printed."""
    if error := messages.get("execution_error"):
        end = "error" if error["exception_type"].endswith("UserError") else "crash"
        if end not in EXPECTED[kind]:
            print(failure(graph, error), flush=True)
        return end
    ends = {"execution_interrupted": "interrupted", "execution_success": "success"}
    return next((end for name, end in ends.items() if name in messages), "unknown")


def resident(pid: int) -> int:
    """Bytes of memory a process has, from Linux's own account."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.exit(main())
