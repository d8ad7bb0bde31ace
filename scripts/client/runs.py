"""One graph on its way through a server: checked, queued, followed to its end, looked up."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse

from client.comfy_client import Client
from client.errors import ClientError
from client.progress import Progress
from client.websocket import WebSocket
from client.workflow_graph import label


class Cancelled(Exception):
    """The run was stopped on the server by somebody else."""


def node_info(client: Client, graph: dict) -> dict:
    """{class: what the server says about it}; an empty entry for a class it does not know."""
    info = {}
    for name in sorted({node["class_type"] for node in graph.values()}):
        try:
            info[name] = client.get(f"/object_info/{urllib.parse.quote(name, safe='')}").get(name, {})
        except (urllib.error.HTTPError, ValueError):
            raise ClientError(f"{client.url} answers, but not as a ComfyUI server does; change --server.") from None
    return info


def queue(client: Client, graph: dict, client_id: str) -> str:
    """The prompt's id; ClientError with one line per node the server refuses."""
    try:
        accepted = client.post("/prompt", {"prompt": graph, "client_id": client_id})
        if accepted.get("node_errors"):  # the server would run the rest of the graph and leave these nodes out
            client.cancel(accepted["prompt_id"])
            raise ClientError("\n".join(refusals(graph, accepted)))
        return accepted["prompt_id"]
    except urllib.error.HTTPError as refused:
        text = refused.read()
    try:
        answer = json.loads(text)
    except ValueError:
        raise ClientError(f"The server refused the graph: {text.decode(errors='replace')[:200]}") from None
    raise ClientError("\n".join(refusals(graph, answer)))


def refusals(graph: dict, answer: dict) -> list[str]:
    lines = []
    for node_id, refusal in (answer.get("node_errors") or {}).items():
        for error in refusal["errors"]:
            name = error.get("extra_info", {}).get("input_name")
            where = label(graph, node_id) + (f", input {name}" if name else "")
            lines.append(f"{where}: {error['message']} ({error['details']})")
    error = answer.get("error", {})
    return lines or [f"The server refused the graph: {error.get('message', answer)} {error.get('details', '')}".strip()]


def follow(events: WebSocket, prompt_id: str, graph: dict, progress: Progress) -> None:
    """Until the prompt has ended; ClientError where a node failed, Cancelled where it was stopped."""
    started = False
    for message in events.messages():
        kind, data = message.get("type"), message.get("data") or {}
        if kind == "status" and not started:
            progress.waiting(data["status"]["exec_info"]["queue_remaining"])
        if data.get("prompt_id") != prompt_id:
            continue
        started = True
        if kind == "execution_cached":
            progress.done(data["nodes"])
        elif kind == "executing" and data.get("node"):
            progress.start(data["node"])
        elif kind == "progress":
            progress.step(data.get("node") or "", data["value"], data["max"])
        elif kind == "execution_error":
            raise ClientError(failure(graph, data))
        elif kind == "execution_interrupted":
            raise Cancelled
        elif kind == "execution_success" or (kind == "executing" and not data.get("node")):
            progress.done(list(graph))
            return
    raise ClientError("The server closed the connection while the graph ran; look into its log.")


def failure(graph: dict, data: dict) -> str:
    text = data["exception_message"].strip()
    kind = data["exception_type"].rpartition(".")[2]
    # The pack's own errors are whole sentences; any other exception is easier to look up by its name.
    return f"{label(graph, data['node_id'])}: {text}" + ("" if kind == "UserError" else f" ({kind})")


def history(client: Client, prompt_id: str) -> dict:
    """The end event can come before the entry is written, so ask again for a while."""
    for _ in range(100):
        entry = client.get(f"/history/{prompt_id}").get(prompt_id)
        if entry:
            return entry
        time.sleep(0.1)
    raise ClientError("The server finished the graph but keeps no record of it.")
