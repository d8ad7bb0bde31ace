"""README and docs/ as a reader walks through them: every page is in the index, every link and picture is there."""

import re
from pathlib import Path

import pytest
from page_commands import INDEX, ROOT, pages

SCREEN = 70  # lines


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    return re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text(encoding="utf-8"))


def test_the_index_names_every_page():
    assert sorted(pages()) == sorted([ROOT / "README.md", *INDEX.parent.glob("*.md")])


def test_the_readme_is_one_screen():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < SCREEN


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name if page != INDEX else "index")
def test_links_and_pictures_lead_somewhere(page):
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert target.suffix != ".md" or not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("folder", ["pipeline_core", "nodes", "scripts", "benchmarks", "training", "web", "Makefile"])
def test_pages_that_code_and_help_name_are_there(folder):
    files = [ROOT / folder] if (ROOT / folder).is_file() else (ROOT / folder).rglob("*")
    for file in files:
        if file.suffix in (".py", ".md", ".js", "") and file.is_file():
            for page in re.findall(r"\bdocs/([\w-]+\.md)", file.read_text(encoding="utf-8", errors="replace")):
                assert (INDEX.parent / page).is_file(), (file, page)


def test_the_table_of_templates_names_what_is_shipped():
    rows = re.findall(r"^\| ([\w, ]+) \|", (INDEX.parent / "comfyui.md").read_text(encoding="utf-8"), re.MULTILINE)
    named = [name for row in rows[1:] for name in row.split(", ")]
    assert sorted(named) == sorted(file.stem for file in (ROOT / "workflows").glob("*.json"))


def test_no_paragraph_stands_on_two_pages():
    places = {}
    for page in pages():
        for paragraph in page.read_text(encoding="utf-8").split("\n\n"):
            if len(paragraph) > 150:
                places.setdefault(" ".join(paragraph.split()), []).append(page.name)
    assert {text: where for text, where in places.items() if len(where) > 1} == {}


def test_every_picture_is_shown_and_small():
    shown = {(page.parent / link).resolve() for page in pages() for link in links(page)}
    pictures = set((ROOT / "docs" / "images").iterdir())
    assert {picture.name for picture in pictures - shown} <= {"icon.png", "banner.png"}  # the registry's
    assert all(picture.stat().st_size < 1_100_000 for picture in pictures)
