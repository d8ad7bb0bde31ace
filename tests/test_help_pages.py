"""Every node has a help page that explains it: the page ComfyUI opens behind the node's question mark."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "web" / "docs"
NODES = re.findall(
    r'node_id="(\w+)"', "\n".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "nodes").rglob("*.py")))
)
# The inputs as well as ids: kept equal to the schemas by the tests that run a server.
TEXTS = json.loads((ROOT / "locales" / "en" / "nodeDefs.json").read_text(encoding="utf-8"))


def test_pages_and_texts_are_of_the_nodes_there_are():
    assert len(NODES) >= 16
    assert sorted(NODES) == sorted(page.stem for page in PAGES.iterdir()) == sorted(TEXTS)


@pytest.mark.parametrize("node", NODES)
def test_a_help_page_is_headed_by_the_nodes_name_and_says_something_of_each_input(node):
    title, body = (PAGES / f"{node}.md").read_text(encoding="utf-8").split("\n", 1)
    assert title == f"# {TEXTS[node]['display_name']}"
    inputs = TEXTS[node]["inputs"].keys() - {"control_after_generate"}
    assert [name for name in sorted(inputs) if not mentions(body, name)] == []


def mentions(text, name):
    """The input's id, or its name in plain words, as whole words."""
    return any(re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) for word in (name, name.replace("_", " ")))


def test_a_part_of_a_word_is_no_mention():
    assert mentions("the **edge_low** threshold", "edge_low") and mentions("Edge low: ...", "edge_low")
    assert not mentions("flow", "low") and not mentions("edge_lower", "edge_low")
