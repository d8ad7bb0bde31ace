"""The translations of the node texts: complete, really translated, and of a form that ComfyUI's frontend can show."""

import json
import re
from pathlib import Path

import make_locales
import pytest
from make_locales import (
    ALL,
    LANGUAGES,
    bring_up_to_date,
    differences,
    english,
    english_node,
    read,
    texts,
    wanted,
    write,
)

LOCALES = Path(__file__).parents[1] / "locales"
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
    assert load(language, "main.json").keys() == texts(wanted(language, "main.json", read("en", "main.json"))).keys()


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


def test_a_changed_schema_takes_its_translations_out_and_names_what_is_left_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(make_locales, "LOCALES", tmp_path)

    def node(a, b):
        return {"N": {"display_name": "Name", "inputs": {"a": {"name": a}, **({"b": {"name": b}} if b else {})}}}

    write("en", "nodeDefs.json", node("old", "gone"))
    write("zh", "nodeDefs.json", node("旧", "去"))
    now = node("new", None)
    assert differences("en", "nodeDefs.json", now) == ["stale in en: N.inputs.b.name", "reworded: N.inputs.a.name: new"]
    assert differences("zh", "nodeDefs.json", now) == ["stale in zh: N.inputs.b.name"]
    for _ in range(2):  # what is missing stays named, however often the script runs
        bring_up_to_date("nodeDefs.json", now)
        assert read("en", "nodeDefs.json") == now
        assert read("zh", "nodeDefs.json") == {"N": {"display_name": "Name"}}
        assert differences("zh", "nodeDefs.json", now) == ["missing in zh: N.inputs.a.name: new"]


def test_german_alone_names_the_categories_that_the_frontend_translates_for_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(make_locales, "LOCALES", tmp_path)
    now = {"nodeCategories": {"metrics": "metrics"}}
    write("de", "main.json", {"nodeCategories": {"metrics": "Metriken", "noise": "Rauschen"}})
    bring_up_to_date("main.json", now)
    assert read("de", "main.json")["nodeCategories"] == {"metrics": "Metriken", "noise": "Rauschen"}
    assert "missing in de: nodeCategories.video: video" in differences("de", "main.json", now)
    assert differences("fr", "main.json", now) == ["missing in fr: nodeCategories.metrics: metrics"]
