"""Runs a workflow in API form on a ComfyUI server and fetches what it made.

    python scripts/run_workflow.py workflows/api/NAME.json --set "Sampler.steps=12" --input clip.mp4 -o out

Exit codes: 0 done, 2 bad input or a failed graph, 130 cancelled (Ctrl-C cancels on the server too).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
import urllib.error
import urllib.parse
import uuid
from pathlib import Path

from comfy_client import Client, ClientError, WebSocket
from workflow_graph import apply_settings, check_classes, label, place_file, read_graph, title_of


class Cancelled(Exception):
    """The run was stopped on the server by somebody else."""


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run_workflow.py", description=__doc__.splitlines()[0])
    parser.add_argument("graph", type=Path, help="workflow in API form (JSON)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar='"NODE.INPUT=VALUE"',
        help="change an input; NODE is a node's title or id, VALUE is JSON where it parses, else text; repeatable",
    )
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="FILE",
        help='upload a file into the graph\'s only loader of its kind, or "NODE=FILE" to name the loader; repeatable',
    )
    parser.add_argument("--server", default="127.0.0.1:8188", metavar="HOST:PORT", help="default: %(default)s")
    parser.add_argument("-o", "--output", type=Path, default=Path("out"), metavar="DIR", help="default: %(default)s")
    return parser.parse_args(arguments)


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
    for node_id, found in (answer.get("node_errors") or {}).items():
        for error in found["errors"]:
            name = error.get("extra_info", {}).get("input_name")
            where = label(graph, node_id) + (f", input {name}" if name else "")
            lines.append(f"{where}: {error['message']} ({error['details']})")
    error = answer.get("error", {})
    return lines or [f"The server refused the graph: {error.get('message', answer)} {error.get('details', '')}".strip()]


class Progress:
    """A bar over nodes with the step of the running node beside it; one line per node where there is no terminal."""

    def __init__(self, graph: dict):
        from tqdm import tqdm

        self._graph = graph
        self._running = ""
        self._done: set[str] = set()
        layout = "{n}/{total} nodes |{bar:24}| {elapsed} {desc}"
        self._bar = tqdm(total=len(graph), disable=None, bar_format=layout)

    def waiting(self, others: int) -> None:
        self._bar.set_description_str(f"waiting, {others} in the queue")

    def start(self, node_id: str) -> None:
        if node_id != self._running:
            self.done([self._running])
            if self._bar.disable:
                print(self._title(node_id), file=sys.stderr)
        self._running = node_id
        self._bar.set_description_str(self._title(node_id))

    def step(self, node_id: str, value: float, total: float) -> None:
        self._bar.set_description_str(f"{self._title(node_id)} {value:g}/{total:g}")

    def done(self, node_ids: list[str]) -> None:
        new = set(node_ids) & set(self._graph) - self._done
        self._done |= new
        self._bar.update(len(new))

    def close(self) -> None:
        self._bar.close()

    def _title(self, node_id: str) -> str:
        return title_of(self._graph, node_id) if node_id in self._graph else f"node {node_id}"


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


def output_path(folder: Path, name: str, node_id: str, taken: set[Path]) -> Path:
    """A place inside `folder`, whatever the server calls the file; a second file of one name gets the node's id."""
    plain = re.split(r"[\\/:]", name)[-1]
    if plain in ("", ".", ".."):
        raise ClientError(f"The server calls an output {name!r}, which is no file name.")
    path = folder / plain
    if path in taken:
        path = folder / f"{re.sub(r'[^0-9A-Za-z_-]', '_', node_id)}_{plain}"
    taken.add(path)
    return path


def fetch(client: Client, outputs: dict, graph: dict, folder: Path) -> tuple[list[dict], list[dict]]:
    """Downloads every output file; gives the files and the text reports, each with its node."""
    folder.mkdir(parents=True, exist_ok=True)
    files, reports = [], []
    taken = {folder / "report.txt", folder / "report.json"}
    for node_id, output in outputs.items():
        node = {"id": node_id, "title": title_of(graph, node_id) if node_id in graph else node_id}
        for item in (item for items in output.values() if isinstance(items, list) for item in items):
            if isinstance(item, dict) and item.get("filename"):
                path = output_path(folder, item["filename"], node_id, taken)
                client.download(item, path)
                files.append({"node": node, "file": path.name})
        text = output.get("text") or []
        if text:
            reports.append({"node": node, "text": text if isinstance(text, str) else "\n".join(map(str, text))})
    return files, reports


def write_reports(folder: Path, graph_name: str, files: list[dict], reports: list[dict]) -> str:
    """report.txt for people, report.json for scripts; gives the text."""
    text = "\n\n".join(f"{report['node']['title']}\n{report['text']}" for report in reports)
    summary = {"graph": graph_name, "files": files, "reports": reports}
    for name, content in (("report.txt", text + "\n"), ("report.json", json.dumps(summary, indent=1) + "\n")):
        partial = folder / (name + ".part")
        partial.write_text(content, encoding="utf-8")
        partial.replace(folder / name)
    return text


def run(options: argparse.Namespace) -> None:
    graph = read_graph(options.graph)
    client = Client(options.server)
    info = node_info(client, graph)
    check_classes(graph, info)
    apply_settings(graph, options.set, info)
    placed = [place_file(graph, given, info) for given in options.input]
    for file, node_id, name in placed:
        graph[node_id]["inputs"][name] = client.upload(file)
    client_id = uuid.uuid4().hex
    events = client.listen(client_id)
    prompt_id = queue(client, graph, client_id)
    progress = Progress(graph)
    try:
        follow(events, prompt_id, graph, progress)
    except KeyboardInterrupt:
        client.cancel(prompt_id)
        raise
    finally:
        progress.close()
        events.close()
    files, reports = fetch(client, history(client, prompt_id)["outputs"], graph, options.output)
    text = write_reports(options.output, options.graph.name, files, reports)
    if text:
        print(text)
    for found in files:
        print(options.output / found["file"])


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    try:
        run(options)
    except ClientError as problem:
        for line in str(problem).splitlines():
            print(f"error: {line}", file=sys.stderr)
        return 2
    except urllib.error.HTTPError as answer:
        print(f"error: The server answered {answer.code} {answer.reason} at {answer.url}.", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, Cancelled):
        print("cancelled", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
