"""Oracles: judges that see, that favour a place, and that toss no coin; a tiny LLaVA in the real layout."""

import pytest
import torch
from tiny_metrics import save_judge

from pipeline_core.errors import UserError
from pipeline_core.metrics.compare import compare_frames
from pipeline_core.metrics.extras import Extras
from pipeline_core.metrics.judge import Preference, load_judge


def brighter(first, second):
    return float(first.mean() > second.mean())


def clips():
    dark, light = torch.full((7, 8, 8, 3), 0.3), torch.full((7, 8, 8, 3), 0.6)
    light[4:] = 0.1
    return light, dark


def run(metric, *clips, chunk=100):
    for parts in zip(*(clip.split(chunk) for clip in clips)):
        metric.update(*parts)
    return metric.compute()["preference"]


def test_the_share_of_frames_preferred_however_the_clip_comes():
    for chunk in (100, 1, 3):
        figure = run(Preference(brighter, "source", 2), *clips(), chunk=chunk)
        assert figure.value == 0.5 and figure.note.startswith("over the source, 4 frames")  # frames 0, 2; not 4, 6
    assert run(Preference(brighter, "source", 3), *clips()).value == pytest.approx(2 / 3)


def test_a_judge_that_favours_a_place_is_undecided():
    assert run(Preference(lambda first, second: 0.9, "source", 1), *clips()).value == 0.5


def test_in_the_report_the_reference_goes_before_the_source():
    light, dark = clips()
    extras = Extras(only=("realism",), judge=brighter)
    assert compare_frames(dark, light, extras=extras)["figures"]["realism"]["preference"]["value"] == 1
    figure = compare_frames(dark, light, light + 0.1, extras=extras)["figures"]["realism"]["preference"]
    assert figure["value"] == 0 and "reference" in figure["note"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_judge(tmp_path_factory.mktemp("llava"))


def test_a_local_model_answers_with_a_probability(folder):
    ask = load_judge(folder, question="picture A or B")
    first, second = (torch.rand(30, 40, 3, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    p, q = ask(first, second), ask(second, first)
    assert 0 < p < 1 and p == ask(first, second) and p != q


def test_other_folders_are_refused(folder, tmp_path, segmentation_folder):
    with pytest.raises(UserError):
        load_judge(segmentation_folder)
    for file in folder.glob("*"):
        if "processor" not in file.name and "template" not in file.name and "token" not in file.name:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(UserError):
        load_judge(tmp_path)
