"""What a graph made: its files fetched into a folder, its reports written beside them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from client.comfy_client import Client
from client.errors import ClientError
from client.files import complete_file
from client.workflow_graph import title_of


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
    for name, content in (("report.txt", text), ("report.json", json.dumps(summary, indent=1))):
        with complete_file(folder / name) as path:
            path.write_text(content + "\n", encoding="utf-8")
    return text
