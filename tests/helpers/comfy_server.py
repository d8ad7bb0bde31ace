"""A real ComfyUI for tests: where it is, one server of it with this pack inside, and prompts sent over HTTP."""

import json
import os
import subprocess
import time
import urllib.error
from pathlib import Path

from client.own_server import OwnServer, python_of

ROOT = Path(__file__).resolve().parents[2]
TEST_PACK = ROOT / "tests" / "comfy" / "test_pack"
PACK_NAME = "ComfyUI-VideoRealism"
NOT_FOUND = "ComfyUI was not found; set COMFYUI_PATH to run these tests"
NEEDED = ("torch", "aiohttp", "yaml", "einops", "safetensors", "transformers", "sqlalchemy", "av")


class NoComfyUI(Exception):
    """There is no ComfyUI that can be started here; the message says what to set."""

    @property
    def asked_for(self):
        """COMFYUI_PATH was set: then not running the tests is a failure, not a skip."""
        return "COMFYUI_PATH" in os.environ


class RunError(Exception):
    """A prompt that did not succeed. `kind` is 'rejected' (never ran), 'error' or 'interrupted'."""

    def __init__(self, kind, node_id="", node_type="", exception_type="", exception_message="", details=None):
        super().__init__(f"{kind}: node {node_id} ({node_type}): {exception_type} {exception_message}")
        self.kind = kind
        self.node_id = node_id
        self.node_type = node_type
        self.exception_type = exception_type
        self.exception_message = exception_message.strip()
        self.details = details


class Graph(dict):
    """A prompt under construction: `node = graph.add("KSampler", model=wan)`; `node` or `node[0]` is its socket 0."""

    def add(self, class_type, title=None, **inputs):
        node_id = str(len(self) + 1)
        plain = {name: value[0] if isinstance(value, Node) else value for name, value in inputs.items()}
        self[node_id] = {"class_type": class_type, "inputs": plain, "_meta": {"title": title or class_type}}
        return Node(node_id)


class Node(str):
    """A node's id that gives its output sockets by index."""

    def __getitem__(self, socket_index):
        return [str(self), socket_index]


def find_comfyui():
    """(folder, python) of the ComfyUI to test with; raises NoComfyUI with one clear sentence."""
    named = os.environ.get("COMFYUI_PATH")
    candidates = [Path(named).expanduser()] if named else [Path("~/comfy/ComfyUI").expanduser()]
    if not named and ROOT.parent.name == "custom_nodes":
        candidates.append(ROOT.parent.parent)
    folder = next((path.resolve() for path in candidates if (path / "main.py").is_file()), None)
    if folder is None:
        raise NoComfyUI(f"COMFYUI_PATH={named} holds no main.py of ComfyUI" if named else NOT_FOUND)
    python = os.environ.get("COMFYUI_PYTHON") or python_of(folder)
    script = "import importlib.util as u, sys; print(*[n for n in sys.argv[1:] if u.find_spec(n) is None])"
    found = subprocess.run([python, "-c", script, *NEEDED], capture_output=True, text=True)
    if found.returncode or found.stdout.strip():
        missing = found.stdout.strip() or found.stderr.strip()[-200:]
        raise NoComfyUI(f"{python} cannot run ComfyUI ({missing} missing); set COMFYUI_PYTHON to its Python")
    return folder, python


class Server(OwnServer):
    """One ComfyUI process on the CPU with this pack, the test pack and an own base folder, empty unless it was used."""

    def __init__(self, folder, python, base, *flags):
        super().__init__(folder, python, base, {PACK_NAME: ROOT, "video_realism_test_pack": TEST_PACK}, *flags)

    def get(self, path):
        return self.client.get(path)

    def post(self, path, body):
        return self.client.post(path, body)

    def object_info(self, node_id=None):
        return self.get(f"/object_info/{node_id}" if node_id else "/object_info")

    def upload(self, path):
        """Puts a file into the input folder; the answer is the value for LoadImage's or LoadVideo's file input."""
        return self.client.upload(Path(path))

    def interrupt(self):
        self.post("/interrupt", {})

    def forget(self):
        """Empties the node cache, so that the next run computes everything again."""
        self.post("/free", {"unload_models": True, "free_memory": True})
        # The server sees to that between two prompts, perhaps not before the next one: behind another it certainly has.
        image = {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}}
        self.run({"1": image, "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}})

    def queue(self, prompt):
        """Sends a prompt and gives its id; raises RunError('rejected') where validation refuses it."""
        try:
            return self.post("/prompt", {"prompt": prompt, "client_id": "tests"})["prompt_id"]
        except urllib.error.HTTPError as refused:
            answer = json.load(refused)
        for node_id, found in (answer.get("node_errors") or {}).items():
            error = found["errors"][0]
            text = f"{error['message']}: {error['details']}"
            raise RunError("rejected", node_id, found["class_type"], error["type"], text, answer)
        error = answer["error"]
        raise RunError("rejected", "", "", error["type"], f"{error['message']} {error['details']}", answer)

    def wait(self, prompt_id, timeout=120):
        """The history entry of a prompt once it has ended, however it ended."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            entry = self.get(f"/history/{prompt_id}").get(prompt_id)
            if entry:
                return entry
            if self.process.poll() is not None:
                raise AssertionError(f"ComfyUI died during a prompt:\n{self.log(4000)}")
            time.sleep(0.03)
        raise AssertionError(f"prompt not done within {timeout} s:\n{self.log(4000)}")

    def run(self, prompt, timeout=120):
        """Outputs by node id, e.g. {"7": {"text": ["..."]}}; raises RunError where the prompt fails."""
        entry = self.wait(self.queue(prompt), timeout)
        for name, message in entry["status"]["messages"]:
            if name == "execution_error":
                found = {key: message[key] for key in ("node_id", "node_type", "exception_type", "exception_message")}
                raise RunError("error", **found, details=message)
            if name == "execution_interrupted":
                raise RunError("interrupted", message["node_id"], message["node_type"], details=message)
        return entry["outputs"]
