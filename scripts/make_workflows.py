"""Writes workflows/*.json, workflows/api/*.api.json and subgraphs/*.json from the descriptions in graphs/; then come
the thumbnails.

    python scripts/make_workflows.py --server 127.0.0.1:8188
    python scripts/make_thumbnails.py --server 127.0.0.1:8188

Sockets and widgets come from the server: give it the oldest ComfyUI that the pack supports, so that the files hold
only what every supported version knows.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from client.comfy_client import Client
from client.errors import ClientError
from client.options import server_options
from graphs import cosmos, edits, embedded, guidance, images, long_video, ltx, metrics, recordings, sd15, starts, wan
from graphs.canvas import Canvas
from graphs.forms import api, blueprint, ui

ROOT = Path(__file__).resolve().parents[1]
BLUEPRINTS = "realism_video_file"  # its subgraphs are listed by themselves, by cores that know such
FAMILIES = (embedded, edits, starts, guidance, long_video, recordings, metrics, cosmos, wan, ltx, sd15, images)


def main() -> int:
    options = server_options(__doc__).parse_args()
    try:
        info = Client(options.server).get("/object_info")
    except ClientError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    folder = ROOT / "workflows"
    for graph in (graph for family in FAMILIES for graph in family.GRAPHS):
        canvas = Canvas(info, graph.__name__)
        graph(canvas)
        files = {
            folder / f"{graph.__name__}.json": ui(canvas),
            folder / "api" / f"{graph.__name__}.api.json": api(canvas),
        }
        if graph.__name__ == BLUEPRINTS:
            for made in canvas.subgraphs:
                files[ROOT / "subgraphs" / f"Video Realism - {made.title}.json"] = blueprint(canvas, made)
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
            print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
