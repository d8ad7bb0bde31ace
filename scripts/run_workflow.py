"""Runs a workflow in API form on a ComfyUI server and fetches what it made.

    python scripts/run_workflow.py workflows/api/NAME.json --set "Sampler.steps=12" --input clip.mp4 -o out

Exit codes: 0 done, 2 bad input or a failed graph, 130 cancelled (Ctrl-C cancels on the server too).
"""

from __future__ import annotations

import argparse
import sys
import urllib.error
import uuid
from pathlib import Path

from client.comfy_client import Client
from client.errors import ClientError
from client.options import server_options
from client.outputs import fetch, write_reports
from client.progress import Progress
from client.runs import Cancelled, follow, history, node_info, queue
from client.workflow_graph import apply_settings, check_classes, place_file, read_graph


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = server_options(__doc__, prog="run_workflow.py")
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
    parser.add_argument("-o", "--output", type=Path, default=Path("out"), metavar="DIR", help="default: %(default)s")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    graph = read_graph(options.graph)
    client = Client(options.server)
    info = node_info(client, graph)
    check_classes(graph, info)
    apply_settings(graph, options.set, info)
    placed = [place_file(graph, name, info) for name in options.input]
    for path, node_id, name in placed:
        graph[node_id]["inputs"][name] = client.upload(path)
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
    for file in files:
        print(options.output / file["file"])


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
