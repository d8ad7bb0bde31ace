"""The shipped graphs in other languages: complete, as the files say it, and true to the English notes."""

import json
import re

import make_graph_words
import pytest
from make_graph_words import LANGUAGES, WORDS, form, mark, notes, term, terms, titles, words
from scripts_of_languages import SCRIPTS

from graphs.parts import NOTES

ROOT = WORDS.parents[1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_of_every_graph_is_translated_and_written(language):
    written, left = words(language)
    assert left == [], "translate what is named, then run scripts/make_graph_words.py"
    file = WORDS / f"{language}.json"
    assert file.read_text(encoding="utf-8") == form(written), "run scripts/make_graph_words.py"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_of_every_blueprint_is_among_them(language):
    known, _ = words(language)
    for path in (ROOT / "subgraphs").glob("*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        (inside,) = content["definitions"]["subgraphs"]
        assert inside["extra"] == {"video_realism": inside["name"]}, path.name
        assert set(titles({**content, "groups": []})) <= known.keys(), path.name


def test_the_frontend_asks_for_the_languages_that_there_are():
    source = (ROOT / "web/js/language.js").read_text(encoding="utf-8")
    listed = re.search(r"LANGUAGES = \[(.*?)\]", source)[1]
    assert re.findall(r'"([\w-]+)"', listed) == list(LANGUAGES)
    assert sorted(path.stem for path in WORDS.iterdir()) == sorted(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_note_keeps_code_numbers_and_lists(language):
    translated = notes(language)
    assert sorted(translated) == sorted(path.stem for path in NOTES.glob("*.md"))
    for name, (_, text) in translated.items():
        english = (NOTES / f"{name}.md").read_text(encoding="utf-8")
        for shape in (r"`[^`]+`", r"\{\w+\}", r"models/\w+"):
            assert set(re.findall(shape, text)) == set(re.findall(shape, english)), (name, shape)
        for begun in (r"^- ", r"^\d\. ", r"^# ", r"^### "):
            count = len(re.findall(begun, text, re.MULTILINE))
            assert count == len(re.findall(begun, english, re.MULTILINE)), (name, begun)
        assert text.count("**") % 2 == 0, name
        assert language not in SCRIPTS or re.search(SCRIPTS[language], text), name


def test_titles_are_found_whole_with_a_number_and_in_two_parts():
    known = {"Take {} frames": "{} frames taken", "Sample": "S", "edge": "e", ": ": " / ", "a: b": "whole"}
    assert term("Take 17 frames", known) == "17 frames taken"
    assert term("Sample: edge", known) == "S / e"
    assert term("a: b", known) == "whole"
    assert term("Sample: depth", known) is None
    assert term("Take 17 clips", known) is None


def test_what_is_missing_or_reworded_is_named(monkeypatch):
    left_out = {name: text for name, text in terms("fr").items() if name != "Contact sheet"}
    monkeypatch.setattr(make_graph_words, "terms", lambda language: left_out)
    older = {**notes("fr"), "long_clip": ("00000000", "old")}
    del older["realism_demo"]
    monkeypatch.setattr(make_graph_words, "notes", lambda language: older)
    made, left = words("fr")
    assert left == [
        f"reworded in fr: the note long_clip, now {mark('long_clip')}",
        f"missing in fr: the note realism_demo, now {mark('realism_demo')}",
        "missing in fr: Contact sheet",
    ]
    assert "Contact sheet" not in made and "old" not in made.values()
