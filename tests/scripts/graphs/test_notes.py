"""Every shipped graph has its note, and says in it what the graph really does."""

import json
import re
from pathlib import Path

import pytest
from make_workflows import FAMILIES
from shipped_graphs import all_nodes

from graphs import parts

ROOT = Path(__file__).parents[3]
GRAPHS = [graph.__name__ for family in FAMILIES for graph in family.GRAPHS]


class Paper:
    """The one part of a canvas that a note needs."""

    def note(self, text, size):
        self.text = text


def shipped(name):
    nodes = all_nodes(json.loads((ROOT / "workflows" / f"{name}.json").read_text(encoding="utf-8")))
    (note,) = (node for node in nodes if node["type"] == "MarkdownNote")
    return nodes, note["widgets_values"][0]


def test_graphs_notes_and_shipped_workflows_have_the_same_names():
    notes = sorted(path.stem for path in parts.NOTES.iterdir())
    assert sorted(GRAPHS) == notes == sorted(path.stem for path in (ROOT / "workflows").glob("*.json"))


@pytest.mark.parametrize("name", GRAPHS)
def test_the_shipped_note_is_the_markdown_file_with_numbers_filled_in(name):
    _, text = shipped(name)
    template = (parts.NOTES / f"{name}.md").read_text(encoding="utf-8").removesuffix("\n")
    pattern = re.sub(r"\\{(\w+)\\}", r"(\\d+)", re.escape(template))
    assert re.fullmatch(pattern, text), name


@pytest.mark.parametrize("name", GRAPHS)
def test_numbers_in_a_note_are_those_of_the_graph(name):
    nodes, text = shipped(name)
    for node in nodes:
        if node["type"] == "ImageFromBatch":
            assert f"{node['widgets_values'][1]} frames" in text
        elif node["type"] == "ImageScale":
            width, height = node["widgets_values"][1:3]
            assert set(re.findall(r"\d{3,}x\d+", text)) <= {f"{width}x{height}"}


def test_a_number_that_a_note_asks_for_and_is_not_given_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "NOTES", tmp_path)
    (tmp_path / "some.md").write_text("{window} of {length}\n")
    paper = Paper()
    parts.note(paper, "some", (1, 1), length=7)
    assert paper.text == f"{parts.WINDOW} of 7"
    with pytest.raises(KeyError, match="length"):
        parts.note(paper, "some", (1, 1))
