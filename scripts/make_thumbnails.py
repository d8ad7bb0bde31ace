"""Runs the shipped workflows and writes workflows/*.jpg, the pictures ComfyUI shows in its list of templates.

    python scripts/make_thumbnails.py --server 127.0.0.1:8188 [NAME ...]

Each picture is one frame of the saved contact sheet, in strips: the source on the left, the result on the right; below
it the title of the graph's note, because the list shows nothing else but the file's name. The graphs of large models
need their files; as shipped, their pictures show a source and its maps.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from client.comfy_client import Client
from client.errors import ClientError
from client.options import server_options
from client.runs import queue

NOTES = Path(__file__).parent / "graphs" / "notes"
ROOT = Path(__file__).resolve().parents[1]
THREE = ("starts_compared", "guiders_compared", "maps_from_models")
ROWS = dict.fromkeys(THREE, (0, 1, 2))  # of the contact sheet; all others: source and result
COLUMNS, COLUMN, LABEL, GAP = 5, 2, 18, 4  # the sheet's layout, and the frame that is taken
SIZE = (512, 307)
CAPTION = 42  # pixels


def contact_sheet(client: Client, graph: dict) -> Image.Image:
    prompt_id = queue(client, graph, "thumbnails")
    while not (entry := client.get(f"/history/{prompt_id}").get(prompt_id)):
        time.sleep(0.5)
    node = next(node_id for node_id, node in graph.items() if node["_meta"]["title"] == "Contact sheet")
    if node not in entry["outputs"]:
        raise ClientError("The graph failed; the server's log says where.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sheet.png"
        client.download(entry["outputs"][node]["images"][0], path)
        return Image.open(path).convert("RGB")


def thumbnail(sheet: Image.Image, chosen: tuple[int, ...], rows: int) -> Image.Image:
    """One frame in vertical strips, one of each chosen row, with a thin line between them."""
    cell_w, cell_h = (sheet.width - GAP) // COLUMNS, (sheet.height - GAP) // rows
    left, height = GAP + COLUMN * cell_w, cell_h - LABEL - GAP
    picture = Image.new("RGB", SIZE)
    for place, row in enumerate(chosen):
        top = row * cell_h + LABEL
        frame = sheet.crop((left, top, left + cell_w - GAP, top + height)).resize(SIZE, Image.Resampling.LANCZOS)
        strip = (SIZE[0] * place // len(chosen), 0, SIZE[0], SIZE[1])
        picture.paste(frame.crop(strip), strip[:2])
        if place:
            ImageDraw.Draw(picture).line((strip[0], 0, strip[0], SIZE[1]), fill="white", width=3)
    return picture


def captioned(picture: Image.Image, text: str) -> Image.Image:
    """The picture with a line of text on a dark strip at its lower edge."""
    picture = picture.copy()
    draw = ImageDraw.Draw(picture, "RGBA")
    font = ImageFont.load_default(CAPTION - 18)
    draw.rectangle((0, picture.height - CAPTION, picture.width, picture.height), fill=(0, 0, 0, 170))
    draw.text((picture.width // 2, picture.height - CAPTION // 2), text, fill="white", font=font, anchor="mm")
    return picture


def title(name: str) -> str:
    """The first line of the graph's note."""
    return (NOTES / f"{name}.md").read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")


def main() -> int:
    parser = server_options(__doc__)
    parser.add_argument("names", nargs="*", help="workflows; default: all")
    options = parser.parse_args()
    client = Client(options.server)
    for name in options.names or sorted(path.stem for path in (ROOT / "workflows").glob("*.json")):
        graph = json.loads((ROOT / "workflows" / "api" / f"{name}.api.json").read_text(encoding="utf-8"))
        compare = next(node for node in graph.values() if node["class_type"] == "VideoRealismCompare")
        rows = sum(f"clip_{number}" in compare["inputs"] for number in (1, 2, 3))
        try:
            picture = thumbnail(contact_sheet(client, graph), ROWS.get(name, (0, 1)), rows)
        except ClientError as problem:
            print(f"{name}: {problem}", file=sys.stderr)
            continue
        captioned(picture, title(name)).save(ROOT / "workflows" / f"{name}.jpg", quality=88, optimize=True)
        print(f"workflows/{name}.jpg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
