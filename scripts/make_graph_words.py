"""Writes web/graphs/LANGUAGE.json: what the shipped graphs say in English, and the same in another language.

    python scripts/make_graph_words.py
    python scripts/make_graph_words.py --check

The frontend's part of this pack (web/js/words.js) puts these texts into a shipped graph when it is opened. They come
from graphs/translations/LANGUAGE.json (titles and names of sockets, one by one) and LANGUAGE.md (the notes, each below
a line with its name and the mark of the English note that it was made from). The report says what is missing, and which
notes were reworded since: translate them, then put the new mark. The exit status is 1 where anything is left to do.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from graphs.languages import LANGUAGES, LOCALES
from graphs.parts import NOTES

ROOT = Path(__file__).resolve().parents[1]
TRANSLATIONS = Path(__file__).parent / "graphs" / "translations"
WORDS = ROOT / "web" / "graphs"
HEAD = re.compile(r"^<!-- (\w+) (\w+) -->\n", re.MULTILINE)
NUMBER = re.compile(r"\d+")


def levels(workflow: dict) -> list[dict]:
    """A graph and what is inside its subgraphs."""
    return [workflow, *workflow.get("definitions", {}).get("subgraphs", [])]


def titles(workflow: dict) -> Iterator[str]:
    """Every text of a graph but its note: titles of nodes and groups, names of subgraphs and of their sockets."""
    for level in levels(workflow):
        yield from (item["title"] for item in (*level["nodes"], *level["groups"]) if "title" in item)
    for subgraph in levels(workflow)[1:]:
        yield subgraph["name"]
        yield from (socket["name"] for socket in (*subgraph["inputs"], *subgraph["outputs"]))


def note(workflow: dict) -> str:
    (text,) = (node["widgets_values"][0] for node in workflow["nodes"] if node["type"] == "MarkdownNote")
    return text


def template(name: str) -> str:
    """The English note of a graph, without its numbers."""
    return (NOTES / f"{name}.md").read_text(encoding="utf-8").removesuffix("\n")


def mark(name: str) -> str:
    """Tells one wording of a note from another."""
    return hashlib.sha256(template(name).encode()).hexdigest()[:8]


def numbers(name: str, text: str) -> dict[str, str]:
    """The numbers in a shipped note, by the names that its template has for them."""
    seen: set[str] = set()

    def group(match: re.Match) -> str:
        known = match[1] in seen
        seen.add(match[1])
        return f"(?P={match[1]})" if known else rf"(?P<{match[1]}>\d+)"

    pattern = re.sub(r"\\{(\w+)\\}", group, re.escape(template(name)))
    return re.fullmatch(pattern, text).groupdict()


def notes(language: str) -> dict[str, tuple[str, str]]:
    """{graph: (mark, text)} of a language's file."""
    file = TRANSLATIONS / f"{language}.md"
    _, *parts = HEAD.split(file.read_text(encoding="utf-8")) if file.is_file() else [""]
    return {name: (made_from, text.strip()) for name, made_from, text in zip(parts[::3], parts[1::3], parts[2::3])}


def terms(language: str) -> dict[str, str]:
    """{English: translation} of titles and their parts, the names of our nodes among them."""

    def names(code: str) -> dict[str, str]:
        nodes = json.loads((LOCALES / code / "nodeDefs.json").read_text(encoding="utf-8"))
        return {kind: entry["display_name"] for kind, entry in nodes.items()}

    own, english = names(language), names("en")
    file = TRANSLATIONS / f"{language}.json"
    written = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return {**{english[kind]: own[kind] for kind in english if kind in own}, **written}


def term(text: str, known: dict[str, str]) -> str | None:
    """A title's translation: as it stands, with its number taken out, or by the parts before and after a colon."""
    if text in known:
        return known[text]
    number = NUMBER.search(text)
    if number and (shape := known.get(NUMBER.sub("{}", text))):
        return shape.format(number[0])
    kind, colon, which = text.partition(": ")
    if colon and kind in known and which in known:
        return known[kind] + known[colon] + known[which]
    return None


def words(language: str) -> tuple[dict[str, str], list[str]]:
    """{English: translation} of every text in the shipped graphs, and what is left to do."""
    made, left = {}, []
    known, translated = terms(language), notes(language)
    for path in sorted((ROOT / "workflows").glob("*.json")):
        workflow = json.loads(path.read_text(encoding="utf-8"))
        for text in titles(workflow):
            made[text] = term(text, known)
        made_from, text = translated.get(path.stem, ("", ""))
        if made_from == mark(path.stem):
            made[note(workflow)] = text.format(**numbers(path.stem, note(workflow)))
        else:
            what = "reworded" if made_from else "missing"
            left.append(f"{what} in {language}: the note {path.stem}, now {mark(path.stem)}")
    left += [f"missing in {language}: {text}" for text, translation in made.items() if translation is None]
    return {text: translation for text, translation in made.items() if translation is not None}, left


def form(made: dict[str, str]) -> str:
    return json.dumps(made, ensure_ascii=False, indent=0) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, only report")
    options = parser.parse_args()
    lines = []
    for language in LANGUAGES:
        made, left = words(language)
        lines += left
        if not options.check:
            WORDS.mkdir(parents=True, exist_ok=True)
            (WORDS / f"{language}.json").write_text(form(made), encoding="utf-8", newline="\n")
    print("\n".join(lines) or "nothing left to translate")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
