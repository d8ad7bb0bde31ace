"""Writes workflows/*.json and workflows/api/*.api.json from the descriptions in graphs/; then come the thumbnails.

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
from graphs import cosmos, embedded, guidance, long_video, ltx, metrics, recordings, sd15, starts, wan
from graphs.canvas import Canvas

ROOT = Path(__file__).resolve().parents[1]
FAMILIES = (embedded, starts, guidance, long_video, recordings, metrics, cosmos, wan, ltx, sd15)


def main() -> int:
    options = server_options(__doc__).parse_args()
    try:
        info = Client(options.server).get("/object_info")
    except ClientError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    folder = ROOT / "workflows"
    (folder / "api").mkdir(parents=True, exist_ok=True)
    for graph in (graph for family in FAMILIES for graph in family.GRAPHS):
        canvas = Canvas(info)
        graph(canvas)
        for path, content in (
            (folder / f"{graph.__name__}.json", canvas.ui()),
            (folder / "api" / f"{graph.__name__}.api.json", canvas.api()),
        ):
            path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
            print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
