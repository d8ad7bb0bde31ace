"""Every node has a help page that explains it: the page ComfyUI opens behind the node's question mark.

The frontend asks for docs/NODE/LANGUAGE.md and, where there is none, takes docs/NODE.md.
"""

import json
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "web" / "docs"
NODES = re.findall(
    r'node_id="(\w+)"', "\n".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "nodes").rglob("*.py")))
)
# The inputs as well as ids: kept equal to the schemas by the tests that run a server.
TEXTS = {
    language: json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))
    for language in ("en", "zh", "ja")
}
TRANSLATED = [(node, language) for language in ("zh", "ja") for node in NODES]
ALL = [(node, "en") for node in NODES] + TRANSLATED
# The pane leaves 285 pixels to a page's text; a table whose words and code need more than 240 has to be scrolled.
COLUMNS, WIDEST = 2, 240
LETTER, CODE, IDEOGRAM = 7.2, 8.4, 14  # pixels, as measured in frontend 1.58


def page(node, language="en"):
    return (PAGES / f"{node}.md" if language == "en" else PAGES / node / f"{language}.md").read_text(encoding="utf-8")


def test_pages_and_texts_are_of_the_nodes_there_are():
    assert len(NODES) >= 16
    pages = {str(file.relative_to(PAGES)) for file in PAGES.rglob("*.md")}
    assert pages == {f"{node}.md" for node in NODES} | {f"{node}/{language}.md" for node, language in TRANSLATED}
    assert sorted(NODES) == sorted(TEXTS["en"])


@pytest.mark.parametrize("node, language", ALL)
def test_a_help_page_is_headed_by_the_nodes_name_and_says_something_of_each_input(node, language):
    title, body = page(node, language).split("\n", 1)
    texts = TEXTS[language][node]
    assert title == f"# {texts['display_name']}"
    inputs = {name: texts["inputs"][name]["name"] for name in texts["inputs"].keys() - {"control_after_generate"}}
    assert [name for name in sorted(inputs) if not mentions(body, name)] == []
    if language != "en":  # what the canvas shows stands there too
        assert [label for label in inputs.values() if label not in body] == []


@pytest.mark.parametrize("node, language", TRANSLATED)
def test_a_translated_page_has_the_structure_numbers_and_code_of_the_english_one(node, language):
    english, translated = page(node), page(node, language)
    assert structure(translated) == structure(english)
    assert set(code(translated)) == set(code(english))
    numbers = [set(re.findall(r"\d+(?:\.\d+)?", text)) for text in (english, translated)]
    assert numbers[0] - numbers[1] <= {"1"}  # "1 + a multiple of" is a word elsewhere


def structure(text):
    """How many headings, rows, list entries, quoted messages and code blocks."""
    kinds = {"heading": r"^## ", "row": r"^\|", "entry": r"^- ", "message": r'^- .*\*"', "code": r"^```|^    \S"}
    return Counter({kind: len(re.findall(pattern, text, re.MULTILINE)) for kind, pattern in kinds.items()})


def code(text):
    return re.findall(r"`([^`\n]+)`", text)


@pytest.mark.parametrize("node, language", ALL)
def test_tables_are_narrow_enough_for_the_pane(node, language):
    tables = re.findall(r"(?:^\|.*\n)+", page(node, language), re.MULTILINE)
    for table in tables:
        rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
        assert all(set(cell.strip()) == {"-"} for cell in rows[1]), table  # the line that makes it a table
        assert {len(row) for row in rows} == {COLUMNS}, table
        assert sum(max(map(unbreakable, column)) for column in zip(rows[0], *rows[2:])) <= WIDEST, table


def unbreakable(cell):
    """Pixels of the widest word or piece of code in a table's cell."""
    code = [len(word) * CODE + 9 for piece in re.findall(r"`([^`]*)`", cell) for word in piece.split()]
    words = re.split(r"[\s\-/、，。；：]|(?<=[^\x00-\x7f])", re.sub(r"`[^`]*`|\*", " ", cell))
    return max([*code, *(sum(IDEOGRAM if letter > "\u2e80" else LETTER for letter in word) for word in words)])


@pytest.mark.parametrize("node, language", ALL)
def test_every_emphasis_is_closed_as_markdown_wants_it(node, language):
    """A mark beside punctuation opens or closes nothing unless space or punctuation is on its other side."""
    text = re.sub(r"^```.*?^```$|^    .*?$|`[^`\n]*`", "x", page(node, language), flags=re.DOTALL | re.MULTILINE)
    for mark in re.finditer(r"(\*\*|\*)(?=\S)([^*]+?)\1", text):
        before, after = text[mark.start() - 1], text[mark.end()]
        inside = mark.group(2)
        assert opens(before, inside[0]) and opens(after, inside[-1]), text[mark.start() - 9 : mark.end() + 9]


def opens(outside, inside):
    free = outside.isspace() or unicodedata.category(outside)[0] in "PS"
    return not inside.isspace() and (free or unicodedata.category(inside)[0] not in "PS")


def mentions(text, name):
    """The input's id, or its name in plain words, as whole words."""
    return any(re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) for word in (name, name.replace("_", " ")))


def test_a_part_of_a_word_is_no_mention():
    assert mentions("the **edge_low** threshold", "edge_low") and mentions("Edge low: ...", "edge_low")
    assert not mentions("flow", "low") and not mentions("edge_lower", "edge_low")
