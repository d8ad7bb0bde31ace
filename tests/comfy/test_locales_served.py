"""The locale files against a real server: they say what the schemas say, and the server hands them out."""

import json

from make_locales import LANGUAGES, LOCALES, differences, english, read


def test_every_node_input_and_output_has_its_text_in_every_language(server):
    wanted = english(server.object_info())
    assert len(wanted["nodeDefs.json"]) >= 16
    for name, now in wanted.items():
        assert read("en", name) == now, "run scripts/make_locales.py: a schema changed since"
        for language in LANGUAGES:
            assert differences(language, name, now) == []


def test_the_server_hands_out_our_texts(server):
    served = server.get("/i18n")
    for language in ("en", *LANGUAGES):
        ours = json.loads((LOCALES / language / "nodeDefs.json").read_text(encoding="utf-8"))
        assert ours.items() <= served[language]["nodeDefs"].items()
        words = json.loads((LOCALES / language / "main.json").read_text(encoding="utf-8"))["nodeCategories"]
        assert words.items() <= served[language]["nodeCategories"].items()
