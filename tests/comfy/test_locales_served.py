"""The locale files against a real server: they say what the schemas say, and the server hands them out."""

from make_locales import ALL, differences, english, read


def test_every_node_input_and_output_has_its_text_in_every_language(server):
    made = english(server.object_info())
    assert len(made["nodeDefs.json"]) >= 16
    left = [line for name, now in made.items() for language in ALL for line in differences(language, name, now)]
    assert left == [], "a schema changed: run scripts/make_locales.py, then translate what it names"


def test_the_server_hands_out_our_texts(server):
    served = server.get("/i18n")
    for language in ALL:
        assert read(language, "nodeDefs.json").items() <= served[language]["nodeDefs"].items()
        words = read(language, "main.json")["nodeCategories"]
        assert words.items() <= served[language]["nodeCategories"].items()
