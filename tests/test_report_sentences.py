"""What the result boxes say in other languages: complete, true to the English sentences, and put in by the frontend."""

import json
import re
import shutil
import subprocess

import pytest
import report_sentences
from report_sentences import LANGUAGES, REPORTS, ROOT, WRITTEN_IN, left_to_do, sentences, translations
from scripts_of_languages import SCRIPTS

HELD = re.compile(r"\{(\d+)\+?\}")
# What English has for its plurals and nouns alone: template -> holes that a translation leaves out.
ENGLISH_ONLY = {
    "{} frames in {} {} of {}: {}": {2},
    "{} frames in {} window{} of up to {}, {} x the frames computed": {2},
    "{} {} stream{}": {2},
}
TURN = """
import { readFileSync } from "fs";
const { translator } = await import(process.argv[1]);
const [sentences, report] = process.argv.slice(2);
console.log(JSON.stringify(translator(JSON.parse(readFileSync(sentences)))(report)));
"""


def turned(report, language="fr"):
    """The report as the box shows it in that language, by the frontend's own code."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Needs node, which runs the frontend's code")
    code = (REPORTS.parent / "js" / "sentences.js").as_uri()
    command = [node, "--input-type=module", "-e", TURN, code, REPORTS / f"{language}.json", report]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)


def test_every_sentence_has_every_language_and_no_other():
    assert left_to_do() == [], "python scripts/report_sentences.py says what to translate in web/reports"
    assert sorted(path.stem for path in REPORTS.iterdir()) == sorted(LANGUAGES)


def test_every_node_that_says_something_is_looked_at():
    """Those left out say what functions of other files give them, or a text of the scene or the user."""
    elsewhere = {"ddim_invert", "noise_calibrate", "dual_prompt_sampler", "whole_job", "video_metrics"}
    elsewhere |= {"object_alignment", "demo_drive"}
    nodes = {path for path in (ROOT / "nodes").rglob("*.py") if "PreviewText(" in path.read_text(encoding="utf-8")}
    looked_at = {ROOT / file for file in WRITTEN_IN}
    assert {path.stem for path in nodes - looked_at} == elsewhere


def test_what_is_missing_or_reworded_is_named(monkeypatch):
    known = translations("fr")
    monkeypatch.setattr(report_sentences, "LANGUAGES", ("fr",))
    monkeypatch.setattr(report_sentences, "translations", lambda language: {**known, "gone {}": "{0}"})
    monkeypatch.setattr(report_sentences, "sentences", lambda: {**sentences(), "new {}": "a.py"})
    assert left_to_do() == ["missing in fr: new {} (a.py)", "stale in fr: gone {}"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_holds_all_that_is_put_in_and_the_names_in_code(language):
    for english, text in translations(language).items():
        held = {int(number) for number in HELD.findall(text)}
        assert held == set(range(english.count("{}"))) - ENGLISH_ONLY.get(english, set()), english
        for name in re.findall(r"\w+_\w+|docs/\S+\.md|\.mkv|\d\.\d+", english):
            assert name.strip("_") in text, (english, name)
        if len(english) > 25:
            assert text != english and (language not in SCRIPTS or re.search(SCRIPTS[language], text)), english


def test_a_made_up_report_is_turned_line_by_line():
    report = """17 frames in 2 windows of up to 17, 1.53 x the frames computed
inversion, strength 0.9, cfg 1, 20 steps, seed 7
controls: edge 1, depth 0.5
prompt: a street, no controls and 3 controls
No depth and no segmentation control: edges hold the picture, but how far things are and what things are may change; \
give a map, or a simulator's buffers (NAME_buffers beside the clip), or a depth model (--depth-model, depth_model) and \
a segmentation model (--segmentation-model, segmentation_model): see docs/models.md.
lights kept 100%, signs kept 90%, vehicles kept 8%
colours 1.20 x as strong, hues 3 degrees off
positive, negative: 2 controls
Wan 2.1 VACE: 1 + a multiple of 4 frames, up to 81
  edge_f1                0.931 share"""
    assert turned(report).split("\n") == [
        "17 images, fenêtres : 2, de 17 au plus, 1.53 x les images calculées",
        "inversion, force 0.9, cfg 1, 20 étapes, graine 7",
        "contrôles : edge 1, depth 0.5",
        "prompt : a street, no controls and 3 controls",  # the user's own words, whatever they are
        "Pas de contrôle depth ni segmentation : les contours tiennent l'image, mais la distance des choses et la "
        "nature des choses peut changer ; donnez une carte, ou les tampons d'un simulateur (NAME_buffers à côté du "
        "clip), ou un modèle depth (--depth-model, depth_model) et un modèle segmentation (--segmentation-model, "
        "segmentation_model) : voir docs/models.md.",
        "feux conservés 100%, panneaux conservés 90%, véhicules conservés 8%",
        "couleurs 1.20 x aussi fortes, teintes à 3 degrés",
        "positive, negative : 2 contrôles",
        "Wan 2.1 VACE: 1 + un multiple de 4 images, 81 au plus",
        "  edge_f1                0.931 share",
    ]


def test_every_sentence_is_found_with_anything_in_it():
    """Each template with words in it is turned as itself, not as a shorter one that fits too."""
    said = [text for text in sentences() if text == text.strip()]
    report = "\n".join(text.format(*(f"v{i}" for i in range(9))) for text in said)
    known = translations("ru")
    expected = [HELD.sub(lambda found: f"v{found[1]}", known[text]) for text in said]
    assert turned(report, "ru").split("\n") == expected
