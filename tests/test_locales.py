"""The translations of the node texts: complete, really translated, and of a form that ComfyUI's frontend can show."""

import functools
import json
import re
from pathlib import Path

import pytest
from make_locales import ALL, LANGUAGES, texts
from scripts_of_languages import SCRIPTS

LOCALES = Path(__file__).parents[1] / "locales"
FIELD_TERMS = set()  # longer texts that people of the field write in English whatever language they speak


@functools.cache
def load(language, name="nodeDefs.json"):
    return texts(json.loads((LOCALES / language / name).read_text(encoding="utf-8")))


def test_there_are_exactly_the_languages_that_are_listed():
    assert sorted(folder.name for folder in LOCALES.iterdir()) == sorted(ALL)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_exactly_the_english_keys(language):
    assert load(language).keys() == load("en").keys()
    assert load(language, "main.json").keys() == load("en", "main.json").keys()


@pytest.mark.parametrize("language", ALL)
def test_every_text_is_one_line_that_the_frontend_takes_as_it_stands(language):
    # @ | { } are syntax to vue-i18n; dots split its keys.
    for name in ("nodeDefs.json", "main.json"):
        for key, text in load(language, name).items():
            assert isinstance(text, str) and text.strip() == text != "", key
            assert not re.search(r"[@|{}<>\n]", text), (key, text)
    for node in json.loads((LOCALES / language / "nodeDefs.json").read_text(encoding="utf-8")).values():
        assert node.keys() <= {"display_name", "description", "inputs", "outputs"}
        for slot in (*node["inputs"].values(), *node["outputs"].values()):
            assert slot.keys() <= {"name", "tooltip"} and slot


@pytest.mark.parametrize("language", LANGUAGES)
def test_longer_texts_are_translated(language):
    for key, text in texts_beside_english(language):
        assert text != load("en")[key] or text in FIELD_TERMS, key
        if language in SCRIPTS:
            assert re.search(SCRIPTS[language], text), (key, text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_keeps_the_numbers_and_the_names_in_code(language):
    for key, text in texts_beside_english(language):
        for word in re.findall(r"models/\w+|\b\w+_\w+\b|\d+(?:\.\d+)?", load("en")[key]):
            assert word in text or word == "1", (key, word, text)  # 1 is often a word ("eine", "the first")


def texts_beside_english(language):
    return [(key, text) for key, text in load(language).items() if len(load("en")[key]) > 25]
