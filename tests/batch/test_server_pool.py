"""The pool of ComfyUI servers against a server that is written here: what it asks, and what it makes of the answers.

tests/comfy/test_server_pool.py has real ones.
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
import torch

from pipeline_core.batch.board import Board
from pipeline_core.batch.clips import Source
from pipeline_core.batch.engines import comfyui
from pipeline_core.batch.engines.comfyui import server_slots
from pipeline_core.batch.networks import NetworkChoice
from pipeline_core.batch.quarantine import lines
from pipeline_core.batch.recipe import Variant
from pipeline_core.batch.rows import DONE, Task, read_row
from pipeline_core.conditions.buffers import find_buffers, write_buffers
from pipeline_core.errors import UserError
from pipeline_core.video import media
from pipeline_core.world import make_scene, render

REPORT = {
    "settings": {"prompt": "p", "negative_prompt": "n", "inversion_prompt": "i", "steps": 2},
    "warnings": [],
    "notes": ["a note"],
    "plan": {"windows": [[0, 5]]},
}


class FakeComfyUI:
    """Copies the clip it gets. polls: questions until a prompt is done. forgets, breaks: ids of prompts, counted from
    0, that a restart loses and that a node fails at. most: bytes of an upload."""

    def __init__(self, polls=2, forgets=(), breaks={}, models=("embedded",), most=1 << 30):
        self.polls, self.forgets, self.breaks, self.models, self.most = polls, forgets, breaks, models, most
        self.files, self.prompts, self.asked, self.at_once, self.cancelled = {}, [], {}, 0, []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self, content, code=200):
                body = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(code)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                self.answer(*fake.get(urlsplit(self.path)))

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                self.answer(*fake.post(self.path, body, self.headers["content-type"]))

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.http.shutdown()
        self.http.server_close()

    def get(self, url):
        kind, _, name = url.path.strip("/").partition("/")
        if kind == "object_info":
            inputs = {key: [["none"], {}] for key in ("depth_model", "segmentation_model", "flow_model")}
            inputs["model"] = ["COMBO", {"options": list(self.models)}]
            return ({name: {"input": {"required": inputs}}},)
        if kind == "history":
            return ({name: self.entry(name)} if self.over(name) else {},)
        if kind == "queue":
            waiting = [name for name in self.asked if not self.over(name) and int(name) not in self.forgets]
            self.at_once = max(self.at_once, len(waiting))
            for name in waiting:
                self.asked[name] += 1
            return ({"queue_running": [[0, name] for name in waiting], "queue_pending": []},)
        if kind == "view":
            return (self.files[parse_qs(url.query)["filename"][0]],)
        return ({},)

    def over(self, name):
        return self.asked.get(name, 0) >= self.polls and int(name) not in self.forgets

    def entry(self, name):
        if int(name) in self.breaks:
            kind, text = self.breaks[int(name)]
            return {"status": {"messages": [["execution_error", {"exception_type": kind, "exception_message": text}]]}}
        node, shown = self.prompts[int(name)]
        images = [{"filename": self.prompts[int(name)][node]["inputs"]["video"], "subfolder": "", "type": "output"}]
        outputs = {node: {"images": images}, shown: {"text": [json.dumps(REPORT)]}}
        return {"status": {"messages": [["execution_success", {}]]}, "outputs": outputs}

    def post(self, path, body, kind):
        if path == "/upload/image" and len(body) > self.most:
            return {}, 413
        if path == "/upload/image":
            boundary = kind.partition("boundary=")[2].encode()
            parts = [part.partition(b"\r\n\r\n") for part in body.split(b"--" + boundary)[1:-1]]
            fields = {head.split(b'name="')[1].split(b'"')[0]: (head, value[:-2]) for head, _, value in parts}
            head, content = fields[b"image"]
            name = head.decode().split('filename="')[1].split('"')[0]
            folder = fields[b"subfolder"][1].decode()
            self.files[f"{folder}/{name}" if folder else name] = content
            return ({"name": name},)
        if path == "/prompt":
            self.prompts.append(json.loads(body)["prompt"])
            self.asked[str(len(self.prompts) - 1)] = 0
            return ({"prompt_id": str(len(self.prompts) - 1), "node_errors": {}},)
        self.cancelled.append((path, json.loads(body)))
        return ({},)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pool")
    scene = render(make_scene(1), 5, (32, 48))
    for index in range(4):
        media.write_clip(folder / f"c{index}.mp4", torch.full((5, 32, 48, 3), index / 5), 10)
    media.write_clip(folder / "c0.mp4", scene.rgb, 10)
    write_buffers(folder / "c0_buffers", folder / "c0.mp4", scene)
    return folder


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(comfyui, "_POLL", 0.01)
    monkeypatch.setattr(comfyui, "_PATIENCE", 0.2)


def tasks_of(folder):
    hashes = {"input": "i", "settings": "s", "model": "m", "code": "c"}
    variant = Variant("night-0", {"prompt": "at night", "steps": 2}, "night", 0, 5)
    buffers = {0: folder / "c0_buffers"}
    return [Task(Source(f"c{k}", folder / f"c{k}.mp4", buffers.get(k)), variant, hashes) for k in range(4)]


def run(tasks, out, *servers, retries=2, choice=NetworkChoice()):
    out.mkdir()
    board = Board(tasks, out, choice, retries)
    board.run(server_slots(",".join(servers), out, choice, None))
    return [read_row(out, task) for task in tasks]


def test_clips_go_up_with_their_buffers_and_results_come_back_one_prompt_at_a_time(folder, tmp_path):
    tasks = tasks_of(folder)
    with FakeComfyUI() as one, FakeComfyUI() as two:
        rows = run(tasks, tmp_path / "out", one.address, f"http://{two.address}")
        assert len(one.prompts) + len(two.prompts) == 4 and one.prompts and two.prompts
        assert one.at_once == two.at_once == 1
        files = {**one.files, **two.files}
    assert [row["status"] for row in rows] == [DONE] * 4
    for task, row in zip(tasks, rows):
        assert task.output(tmp_path / "out").read_bytes() == task.source.clip.read_bytes()
        assert (row["settings"], row["notes"], row["frames"]) == (REPORT["settings"], REPORT["notes"], 5)
        assert row["prompts"]["prompt"] == "p" and row["hashes"]["input"] == "i"
    sent = {name.partition("_buffers/")[2] for name in files if "_buffers/" in name}
    assert sent == {p.relative_to(folder / "c0_buffers").as_posix() for p in (folder / "c0_buffers").rglob("*.*")}
    (clip,) = (name for name in files if name.endswith("c0.mp4"))
    server_input = tmp_path / "input"
    for name, content in files.items():
        (server_input / name).parent.mkdir(parents=True, exist_ok=True)
        (server_input / name).write_bytes(content)
    assert find_buffers(server_input / clip).channels == ("depth", "semantic", "instance", "flow")


def test_a_prompt_that_the_server_forgot_is_made_again(folder, tmp_path):
    with FakeComfyUI(forgets=(1,)) as fake:
        rows = run(tasks_of(folder), tmp_path / "out", fake.address)
        assert len(fake.prompts) == 5
    assert [row["status"] for row in rows] == [DONE] * 4 and sorted(row["attempt"] for row in rows) == [1, 1, 1, 2]


def test_a_server_that_dies_leaves_its_clip_to_the_others(folder, tmp_path, capfd):
    tasks = tasks_of(folder)
    with FakeComfyUI(polls=10**9) as lives:
        dies = FakeComfyUI(polls=10**9)

        def end_one():
            while not (dies.prompts and lives.prompts):
                time.sleep(0.01)
            dies.__exit__()
            lives.polls = 2

        threading.Thread(target=end_one, daemon=True).start()
        rows = run(tasks, tmp_path / "out", dies.address, lives.address)
        assert len(dies.prompts) == 1 and len(lives.prompts) == 4
    assert f"http://{dies.address} does not answer" in capfd.readouterr().err
    assert [row["status"] for row in rows] == [DONE] * 4


def test_what_a_node_says_of_its_input_is_the_reason_and_other_faults_are_tried_again(folder, tmp_path):
    refused, crashed = ("comfy.errors.UserError", "The clip is odd."), ("RuntimeError", "CUDA error")
    with FakeComfyUI(breaks={0: refused, 1: crashed, 4: crashed}) as fake:
        rows = run(tasks_of(folder), tmp_path / "out", fake.address, retries=1)
    assert [row["status"] for row in rows] == ["failed", "failed", DONE, DONE]
    assert rows[0]["reason"] == "The clip is odd." and rows[0]["attempt"] == 1
    assert "CUDA error" in rows[1]["reason"] and rows[1]["attempt"] == 2
    assert len(list(lines(tmp_path / "out"))) == 2


def test_a_clip_that_is_too_large_for_the_server_is_said_and_not_tried_again(folder, tmp_path):
    with FakeComfyUI(most=1000) as fake:
        rows = run(tasks_of(folder), tmp_path / "out", fake.address)
    assert [(row["status"], row["attempt"]) for row in rows] == [("failed", 1)] * 4 and not fake.prompts
    assert all("--max-upload-size" in row["reason"] for row in rows)


def test_interrupted_the_prompt_is_taken_back(folder, tmp_path):
    (tmp_path / "out").mkdir()
    with FakeComfyUI(polls=10**9) as fake:

        def watch():
            if fake.prompts and fake.asked["0"]:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            choice = NetworkChoice()
            board = Board(tasks_of(folder), tmp_path / "out", choice)
            board.run(server_slots(fake.address, tmp_path / "out", choice, None), watch)
        assert [path for path, _ in fake.cancelled] == ["/queue", "/interrupt"]
        assert fake.cancelled[1][1] == {"prompt_id": "0"}


def test_a_server_without_the_model_ends_the_run_in_one_sentence(folder, tmp_path):
    with FakeComfyUI() as fake, pytest.raises(UserError, match="has no model called mine"):
        run(tasks_of(folder), tmp_path / "out", fake.address, choice=NetworkChoice(model="/x/mine"))
