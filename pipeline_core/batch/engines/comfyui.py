"""A pool of ComfyUI servers with this pack: each gets one prompt at a time, the shipped graph of Enhance Video File.

The clip and its buffers are uploaded, the result is fetched, measured and judged here. What came of a prompt is asked
for over HTTP, in /history and, since that knows nothing of a prompt that waits or runs, in /queue: a websocket that
drops in a long run would lose it. A prompt that is in neither is lost, as after a restart of the server.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path

from ...conditions.buffers import Buffers
from ...doors import read_json
from ...errors import UserError
from ...job.progress import Progress
from ...video import media
from ...video.facts import ClipFacts
from ..ends import Lost, Stop
from ..judging import Gate, load_gate
from ..networks import NetworkChoice
from ..process import process
from ..recipe import Variant
from ..rows import Task
from ..rules import GateRules
from .server import NoAnswer, Refused, Server

GRAPH = Path(__file__).resolve().parents[3] / "workflows" / "api" / "enhance_video_file.api.json"
NODE, EMBEDDED = "VideoRealismEnhanceVideoFile", "embedded"
_POLL, _PATIENCE = 1.0, 15.0  # seconds between two questions; without an answer, until a server counts as dead


def server_slots(addresses: str, out: Path, choice: NetworkChoice, rules: GateRules | None) -> list[ServerSlot]:
    """addresses: with commas between. UserError for what is no address, and where no server answers at all."""
    servers, gate = [Server(part.strip()) for part in addresses.split(",") if part.strip()], load_gate(rules)
    slots = [ServerSlot(server, out, choice, gate) for server in servers]
    if not any(slot.answers() for slot in slots):
        raise UserError(f"No ComfyUI answers at {addresses}: start one or change --servers.")
    return slots


class ServerSlot:
    """One server; see `board.Slot`. It may be gone for a while: then it is asked again until it is back."""

    def __init__(self, server: Server, out: Path, choice: NetworkChoice, gate: Gate | None) -> None:
        self._server, self._out, self._choice, self._gate = server, out, choice, gate
        self._away = self._checked = self._ends = False

    def answers(self) -> bool:
        try:
            self._server.get("/system_stats")
        except (NoAnswer, urllib.error.HTTPError, ValueError):
            return False
        return True

    def ready(self) -> bool:
        if not self.answers():
            if not self._away:
                print(f"{self._server.url} does not answer; it takes part when it does.", file=sys.stderr)
            self._away, self._checked = True, False
            return False
        if not self._checked:
            self._check()
        self._away, self._checked = False, True
        return True

    def _check(self) -> None:
        """UserError for a server without this pack or without a model that was named."""
        node = self._server.get(f"/object_info/{NODE}").get(NODE)
        if node is None:
            raise UserError(f"{self._server.url} lacks ComfyUI-VideoRealism: install it there or change --servers.")
        inputs = node["input"]["required"]
        for name, value in _files(self._choice).items():
            kind, more = inputs[name][0], inputs[name][1] if len(inputs[name]) > 1 else {}
            if value not in (kind if isinstance(kind, list) else more.get("options", [])):
                option = f"--{name.replace('_', '-')}"
                raise UserError(f"{self._server.url} has no {name} called {value}: put it there or change {option}.")

    def work(self, task: Task, attempt: int) -> dict:
        maker = _OnServer(self._server, task, self._choice, lambda: self._ends)
        return process(task.source, task.variant, self._out, maker, task.hashes, attempt, gate=self._gate)

    def renew(self) -> None:
        self._checked = False  # it may be another one after it was gone

    def stop(self) -> None:
        self._ends = True

    def kill(self) -> None:
        self._ends = True

    def close(self) -> None:
        pass


class _OnServer:
    """What `process` has a clip enhanced by, as `Networks` does it here."""

    def __init__(self, server: Server, task: Task, choice: NetworkChoice, ends: Callable[[], bool]) -> None:
        self._server, self._task, self._choice, self._ends = server, task, choice, ends

    def enhance(
        self, facts: ClipFacts, target: Path, variant: Variant, buffers: Buffers | None, progress: Progress | None,
        window_kept: Callable[[], None],
    ) -> dict:  # fmt: skip
        try:
            name = self._uploaded(facts, buffers)
            graph, node, shown = graph_of(name, variant, self._choice)
            outputs = self._finished(self._server.queue(graph))
            self._server.download(outputs[node]["images"][0], target)
        except (NoAnswer, urllib.error.HTTPError) as error:
            raise Lost(f"{self._server.url} was lost while it worked on the clip ({error}).") from None
        except Refused as refused:
            raise UserError(str(refused)) from None
        if media.probe(target).frames != facts.info.frames:
            raise Lost(f"{self._server.url} gave back a clip of another length.")
        return json.loads(outputs[shown]["text"][0])

    def _uploaded(self, facts: ClipFacts, buffers: Buffers | None) -> str:
        """The clip's name on the server, by its content; a node there finds NAME_buffers beside it."""
        stem = f"{(self._task.hashes['input'] or 'clip')[:16]}_{self._task.source.id}"
        self._server.upload(facts.path, f"{stem}{facts.path.suffix}")
        for path in sorted(buffers.folder.rglob("*")) if buffers is not None else ():
            if path.is_file():
                place = Path(f"{stem}_buffers") / path.relative_to(buffers.folder).parent
                self._server.upload(path, path.name, place.as_posix())
        return f"{stem}{facts.path.suffix}"

    def _finished(self, prompt: str) -> dict:
        """The outputs of a prompt, once it ended; Stop when the run is to end, Lost where the server forgot it."""
        heard = time.monotonic()
        while True:
            try:
                entry = self._entry(prompt)
                heard = time.monotonic()
            except NoAnswer:
                if time.monotonic() - heard > _PATIENCE:
                    raise
                entry = None
            if entry:
                return _outputs(entry)
            if self._ends():
                self._server.cancel(prompt)  # finished windows stay there for the same prompt
                raise Stop
            time.sleep(_POLL)

    def _entry(self, prompt: str) -> dict | None:
        """The prompt in the server's history; None while it waits or runs."""
        entry = self._server.get(f"/history/{prompt}").get(prompt)
        if entry is None:
            queue = self._server.get("/queue")
            if prompt not in {item[1] for items in queue.values() for item in items}:
                entry = self._server.get(f"/history/{prompt}").get(prompt)  # it may have ended between the two
                if entry is None:
                    raise Lost(f"{self._server.url} knows nothing of the prompt any more: was it started anew?")
        return entry


def _outputs(entry: dict) -> dict:
    """UserError with what a node of this pack said of its input, Lost for any other end than success."""
    for kind, said in entry["status"]["messages"]:
        if kind == "execution_error":
            if said["exception_type"].rpartition(".")[2] == "UserError":
                raise UserError(said["exception_message"].strip())
            raise Lost(f"The server failed with {said['exception_type']} ({said['exception_message'].strip()[:200]}).")
        if kind == "execution_interrupted":
            raise Lost("Somebody stopped the prompt on the server.")
    return entry["outputs"]


def graph_of(video: str, variant: Variant, choice: NetworkChoice) -> tuple[dict, str, str]:
    """(the graph, the id of its Enhance Video File node, the id of the node that shows its report).

    UserError for a text that the input settings cannot hold.
    """
    shipped = read_json(GRAPH, "install the pack anew")
    node = next(name for name, content in shipped.items() if content["class_type"] == NODE)
    settings = {**variant.settings, "seed": variant.seed}
    prompt = settings.pop("prompt", "")
    own = {"video": video, "prompt": prompt, "filename_prefix": f"batch/{variant.name}", **_files(choice)}
    own["settings"] = "\n".join(f"{name} = {_text(name, value)}" for name, value in settings.items())
    graph = {node: {**shipped[node], "inputs": {**shipped[node]["inputs"], **own}}}
    shown = f"{node}-report"
    graph[shown] = {"class_type": "PreviewAny", "inputs": {"source": [node, 1]}, "_meta": {"title": "Report"}}
    return graph, node, shown


def _files(choice: NetworkChoice) -> dict[str, str]:
    """Input of the node -> what its menu calls the file or folder that is named here."""
    files = {name: "none" if path is None else Path(path).name for name, path in choice.estimators().items()}
    return {**files, "model": EMBEDDED if choice.model is None else Path(choice.model).name}


def _text(name: str, value: object) -> str:
    """A setting as `parse_settings` reads it."""
    if isinstance(value, dict):
        return ",".join(f"{control}={weight}" for control, weight in value.items()) or "none"
    if isinstance(value, (tuple, list)):
        return ",".join(map(str, value))
    if isinstance(value, str) and any(sign in value for sign in "#;\n"):
        raise UserError(
            f"{name} has one of # ; and a new line, which a server's input settings cannot hold: change it."
        )
    return {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)
