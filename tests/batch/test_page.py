"""The page shows every result, opens without network, and its pictures are what they say."""

import json
import os
import shutil
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest
from batch_folders import FPS, make_batch
from PIL import Image

from pipeline_core.__main__ import main
from pipeline_core.batch.page import write_page
from pipeline_core.video import media


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_batch(tmp_path_factory.mktemp("batch"))


@pytest.fixture
def batch(made, tmp_path):
    """A copy to change; the sources stay where they are."""
    shutil.copytree(made[0], tmp_path / "out")
    return tmp_path / "out", made[1]


class Page(HTMLParser):
    """rows: the texts of every table's cells; links: what src and href name; values: data-value by row and column."""

    def __init__(self, path):
        super().__init__()
        self.rows, self.links, self.values, self.text = [], [], [], ""
        self._at = path.parent
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.links += [attributes[name] for name in ("src", "href") if name in attributes]
        if tag == "tr":
            self.rows.append([])
            self.values.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.values[-1].append(attributes.get("data-value"))

    def handle_data(self, data):
        self.text += data
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def test_every_result_is_there_with_its_figures_and_all_it_names_exists(batch):
    page = Page(write_page(batch[0]))
    head, *rows = page.rows
    assert [row[:3] for row in rows] == [
        ["street", "day-0", "done"], ["street", "night-0", "rejected"],
        ["town__front", "day-0", "done"], ["town__front", "night-0", "done"],
    ]  # fmt: skip
    assert "lpips" not in head and "edge f1" in head  # a figure that no result has is no column
    assert [values[head.index("edge f1")] for values in page.values[1:]] == ["0.81"] * 4
    verdict = head.index("verdict")
    assert rows[0][verdict] == "1 of 1 checks passed, 1 could not be made" and "must be at least" in rows[1][5]
    assert "2 clips, 3 done, 1 rejected, 0 failed, 75%" in page.text
    assert len(page.links) == 12 and all((batch[0] / unquote(link)).is_file() for link in page.links)


def test_the_worst_frame_is_the_one_whose_edges_went_and_thumbnails_are_made_once(batch):
    out, renders = batch
    clip = out / "clips" / "street" / "day-0.mp4"
    frames = renders["street"]["photoreal"].rgb.clone()
    frames[1] = 0.5
    media.write_clip(clip, frames, FPS)
    write_page(out)
    worst = out / "thumbnails" / "street.day-0.worst-000001.jpg"
    picture = np.array(Image.open(worst)).astype(float) / 255
    source = renders["street"]["synthetic"].rgb.numpy()
    assert picture.shape == (48, 160, 3) and np.abs(picture[:, 80:] - 0.5).mean() < 0.01
    assert np.abs(picture[:, :80] - source).mean((1, 2, 3)).argmin() == 1
    before = {path.name: path.stat().st_mtime_ns for path in worst.parent.iterdir()}
    write_page(out)
    assert before == {path.name: path.stat().st_mtime_ns for path in worst.parent.iterdir()}
    media.write_clip(clip, renders["street"]["photoreal"].rgb, FPS)  # made again, with another worst frame
    os.utime(clip, ns=(clip.stat().st_atime_ns, max(before.values()) + 10**9))
    write_page(out)
    assert not worst.exists() and len(list(worst.parent.glob("street.day-0.worst-*.jpg"))) == 1


def test_names_are_text_and_links_are_quoted(batch):
    out = batch[0]
    row = json.loads((out / "clips/street/day-0.json").read_text())
    name = "a b#1 <b>&?"
    (out / "clips" / "street").rename(out / "clips" / name)
    for path in (out / "clips" / name).glob("*.json"):
        output = f"clips/{name}/{path.stem}.mp4"
        path.write_text(json.dumps({**row, "id": name, "variant": path.stem, "output": output}))
    page = Page(write_page(out))
    assert page.rows[1][0] == name and all((out / unquote(link)).is_file() for link in page.links)
    assert f"clips/{name}/day-0.mp4" in map(unquote, page.links)


def test_failures_damage_and_missing_sources_are_shown_not_fatal(batch):
    out, _ = batch
    row = json.loads((out / "clips/street/day-0.json").read_text())
    for path in (out / "clips" / "street").glob("*.json"):
        gone = {"input": {"clip": "gone.mp4", "buffers": None}, "output": f"clips/street/{path.stem}.mp4"}
        path.write_text(json.dumps({**row, "variant": path.stem, **gone}))
    failed = {**row, "id": "poison", "status": "failed", "reason": "It is cut.", "output": None, "verdict": None}
    (out / "clips" / "poison").mkdir()
    (out / "clips/poison/day-0.json").write_text(json.dumps({**failed, "figures": {}}))
    (out / "clips/poison/night-0.json").write_text("{")
    lines = [
        {"id": "poison", "variant": "day-0", "reason": "It is cut.", "command": "enhance poison", "attempts": 3},
        {"id": "street", "variant": "night-0", "reason": "It was cut.", "command": "enhance street", "attempts": 1},
    ]
    (out / "quarantine.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"id')
    page = Page(write_page(out))
    assert ["poison", "day-0", "failed"] in [cells[:3] for cells in page.rows]
    assert "enhance poison" in page.text and "enhance street" not in page.text  # that one is there by now
    assert "night-0.json is not valid JSON" in page.text
    assert not any("street" in link and link.endswith(".jpg") for link in page.links)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2}, {"id": "other"}, {"output": "../out/clips/street/day-0.mp4"}, {"output": "/etc/passwd"},
        {"figures": {"edge_f1": float("nan")}}, {"figures": [1]}, {"figures": {"a": {"b": 1}}}, {"input": "a.mp4"},
        {"verdict": {"checks": ["edge_f1"]}}, {"hashes": None},
    ],
)  # fmt: skip
def test_a_damaged_row_is_named_and_the_others_are_shown(batch, changes):
    path = batch[0] / "clips/street/day-0.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    page = Page(write_page(batch[0]))
    assert len(page.rows) == 4 and "street/day-0.json is no result of this version" in page.text


def test_the_command(batch, tmp_path, capsys):
    assert main(["page", str(batch[0])]) == 0 and "index.html is written" in capsys.readouterr().out
    assert main(["page", str(tmp_path)]) == 2 and "no batch" in capsys.readouterr().err
