"""The table of edits by instruction: every kind of row runs on tiny networks, figures are what they say."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import guided
from benchmarks.papers import instructions, page, table
from benchmarks.papers.instructions import EDIT, FRESH, INSTRUCTIONS, INVERSION, LOOKS, LORA, SOURCE, TABLE
from pipeline_core.cli.commands import parse
from pipeline_core.edits.grammar import instruction_between
from pipeline_core.models.folders.loading import load_video_model
from pipeline_core.video import media

LORA_OF = instructions.lora_of


@pytest.fixture(scope="module")
def bench(model_folder, edit_model_folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            guided, "load_video_model", lambda reference=None: load_video_model(model_folder, precision="fp32")
        )
        patch.setattr(guided, "SIZE", (32, 48))
        opened = guided.open_bench(table.HELD_OUT[:2], LOOKS, frames=5)
        opened.model = replace(opened.model, preset=replace(opened.model.preset, steps=6))
        opened.one_by_one = False
        edits = load_video_model(edit_model_folder, precision="fp32")
        patch.setattr(instructions, "edit_model", lambda: edits)
        patch.setattr(instructions, "INSTRUCTIONS", INSTRUCTIONS[:2])
        patch.setattr(instructions, "lora_of", lambda clip, model: Path("lora"))
        patch.setattr(instructions, "load_video_model", lambda loras: opened.model)
        patch.setattr(instructions, "own_folder", lambda name: None)
        instructions.encoder.cache_clear()
        yield opened
    instructions.encoder.cache_clear()


@pytest.mark.parametrize(
    "name, calls", [(EDIT, 6 + 2 * 5), (FRESH, 2 * 6), (INVERSION, 6 + 5), (LORA, 6 + 5), (SOURCE, 0)]
)
def test_every_kind_of_row_runs_and_counts_its_calls(bench, name, calls):
    scenes = table._row(bench, TABLE.rows[name])
    for scene in scenes:
        figures = scene["figures"]
        assert figures["calls"] == [calls, 1] and figures["psnr"][1] == figures["toward"][1] == 2
        assert -1 <= figures["consistency"][0] / 2 <= 1


def test_the_source_is_no_edit_and_the_exact_render_is_one(bench):
    clip = bench.clips[0]
    none, exact = (instructions.measure(clip, frames, "night") for frames in (clip.source.rgb, clip.twins["night"].rgb))
    assert none["nearer"] == none["toward"] == none["reflected"] == 0
    assert exact["nearer"] > 20 and exact["toward"] == pytest.approx(1) and exact["reflected"] == 1


def test_instructions_are_those_of_the_grammar_and_claims_name_rows():
    class Every:
        """Says all wordings, one after the other."""

        def __init__(self, place):
            self.place = place

        def choice(self, options):
            self.place, index = divmod(self.place, len(options))
            return options[index]

    for said, look in INSTRUCTIONS:
        assert said in {instruction_between("synthetic", f"photoreal.{look}", Every(i)) for i in range(16)}
    assert {look for _, look in INSTRUCTIONS} == set(LOOKS) and len(INSTRUCTIONS) == 8
    named = {TABLE.base, *TABLE.paper, *(name for claim in TABLE.claims for name in (claim.ours, claim.theirs))}
    assert named <= TABLE.rows.keys()
    assert set(TABLE.columns) <= page.FIGURES.keys() and TABLE.name in page.TABLES


def test_a_clips_lora_is_trained_by_the_command_on_the_clip_alone(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(table, "WORK", tmp_path)
    asked = []
    monkeypatch.setattr(instructions, "command", lambda arguments: asked.append(arguments) or 0)
    file, clip = LORA_OF(bench.clips[0], bench.model), bench.clips[0]
    (arguments,) = asked
    assert arguments[0] == "train-lora" and arguments[arguments.index("-o") + 1] == str(file.parent)
    assert clip.description in arguments[arguments.index("--caption") + 1]
    (video,) = Path(arguments[1]).iterdir()
    assert media.read_clip(video).shape == clip.source.rgb.shape
    file.parent.mkdir()
    file.touch()
    assert LORA_OF(clip, bench.model) == file and len(asked) == 1
    # The command takes them.
    assert parse(arguments).steps == instructions.TUNED_STEPS
