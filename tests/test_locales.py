"""The translations of the node texts: complete, really translated, and of a form that ComfyUI's frontend can show."""

import json
import re
from pathlib import Path

import make_locales
import pytest
from make_locales import KNOWN_CATEGORIES, LANGUAGES, english, english_node, texts

LOCALES = Path(__file__).parents[1] / "locales"
ALL = ("en", *LANGUAGES)
FIELD_TERMS = set()  # longer texts that people of the field write in English whatever language they speak
# A rare character of the language's own writing is enough: of the longer texts nearly every one has some.
SCRIPTS = {"zh": "[\u4e00-\u9fff]", "ja": "[\u3040-\u30ff]", "ko": "[\uac00-\ud7a3]"}


def load(language, name="nodeDefs.json"):
    return texts(json.loads((LOCALES / language / name).read_text(encoding="utf-8")))


def test_there_are_exactly_the_six_languages():
    assert sorted(folder.name for folder in LOCALES.iterdir()) == sorted(ALL)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_exactly_the_english_keys(language):
    assert load(language).keys() == load("en").keys()
    own = {f"nodeCategories.{word}" for word in KNOWN_CATEGORIES} if language == "de" else set()
    assert load(language, "main.json").keys() == load("en", "main.json").keys() | own


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


INFO = {
    "display_name": "A Node",
    "description": "What it does.",
    "category": "video realism/noise",
    "input": {
        "required": {"model": ["MODEL", {}], "seed_of_it": ["INT", {"tooltip": "T", "control_after_generate": True}]},
        "optional": {"mode": [["a", "b"], {"tooltip": "U"}]},
    },
    "output_name": ["noise", "max_std"],
    "output_tooltips": ["V", None],
}


def test_english_texts_are_those_of_the_schema_in_plain_words():
    assert english_node(INFO) == {
        "display_name": "A Node",
        "description": "What it does.",
        "inputs": {
            "model": {"name": "model"},
            "seed_of_it": {"name": "seed of it", "tooltip": "T"},
            "control_after_generate": {"name": "control after generate"},
            "mode": {"name": "mode", "tooltip": "U"},
        },
        "outputs": {"0": {"name": "noise", "tooltip": "V"}, "1": {"name": "max std"}},
    }
    made = english({"VideoRealismX": INFO, "KSampler": INFO})
    assert list(made["nodeDefs.json"]) == ["VideoRealismX"]
    assert made["main.json"] == {"nodeCategories": {"video realism": "video realism"}}


def test_what_a_maintainer_has_to_translate_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(make_locales, "LOCALES", tmp_path)
    now = {"N": {"display_name": "New", "inputs": {"a": {"name": "a"}}}}
    make_locales.write("zh", "nodeDefs.json", {"N": {"display_name": "新", "inputs": {"b": {"name": "乙"}}}})
    assert make_locales.differences("zh", "nodeDefs.json", now) == [
        "missing in zh: N.inputs.a.name",
        "stale in zh: N.inputs.b.name",
    ]
    before = {"N": {"display_name": "Old", "inputs": {"a": {"name": "a"}}}}
    assert make_locales.reworded(before, now) == ["reworded, look at every translation: N.display_name"]
