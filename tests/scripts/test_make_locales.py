"""The script that keeps the locale files: English out of the schemas, translations that no longer fit taken out."""

import make_locales
from make_locales import bring_up_to_date, differences, english, english_node, read, write

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
