"""The gate: verdicts by hand, planted failures in the photoreal twin, and what can be checked with no buffers."""

import json
import re
from pathlib import Path
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.gate_plants import FAILURES, INVENTED, inventable, without
from pipeline_core.batch.checks import CHECKS
from pipeline_core.batch.gate import best, figures, judge, rounds
from pipeline_core.batch.recipe import Variant
from pipeline_core.batch.rules import GateRules
from pipeline_core.errors import UserError
from pipeline_core.metrics.extras import Extras
from pipeline_core.video.media import write_clip
from pipeline_core.world import RenderedBuffers, make_scene, render_styles

LIMITS = GateRules().limits()
CAUSES = {
    "wrong lamp": {"lamp_least", "light_least"},
    "lost car": {"object_least"},
    "seam": {"jump_worst"},
    "flicker": {"jumps"},
    "collapsed frame": {"contrast_least", "motion_least"},
}
NEED_NOTHING = {"edge_f1", "edge_f1_least", "jump_worst", "jumps", "contrast_least", "motion_least"}


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """A source as a file, its render, and its photoreal twin: what a perfect model would make of it."""
    clips = render_styles(make_scene(800_008), 9, (96, 160), ("synthetic", "photoreal.day"))
    path = tmp_path_factory.mktemp("gate") / "source.mp4"
    write_clip(path, clips["synthetic"].rgb, 24)
    return path, clips["synthetic"], clips["photoreal.day"].rgb


def verdict(street, frames, tmp_path, buffers=True):
    path, source, _ = street
    write_clip(tmp_path / "result.mp4", frames, 24)
    held = RenderedBuffers(source) if buffers else None
    return judge(figures(path, tmp_path / "result.mp4", held), LIMITS)


def test_the_photoreal_twin_is_accepted(street, tmp_path):
    accepted = verdict(street, street[2], tmp_path)
    assert accepted.accepted and accepted.reason is None, accepted.reason
    assert {check.name for check in accepted.missing} == {"critic"} and accepted.missing[0].needs == "a critic"


@pytest.mark.parametrize("failure", FAILURES)
def test_a_planted_failure_is_rejected_for_what_it_is(street, tmp_path, failure):
    _, source, twin = street
    rejected = verdict(street, FAILURES[failure](twin, source, Random(0)), tmp_path)
    assert not rejected.accepted and CAUSES[failure] & {check.name for check in rejected.failed}
    assert rejected.reason.endswith(".") and "\n" not in rejected.reason and rejected.reason[0].isupper()
    json.dumps(rejected.to_dict(2), allow_nan=False)


@pytest.mark.parametrize("failure", INVENTED)
def test_an_object_that_the_source_does_not_have_is_rejected(tmp_path, failure):
    clips = render_styles(make_scene(800_017), 5, (96, 160), ("synthetic", "photoreal.day"))
    source, twin = clips["synthetic"], clips["photoreal.day"].rgb
    empty = without(source, inventable(source, INVENTED[failure])[0])
    verdicts = []
    for seen in (source, empty):
        write_clip(tmp_path / "source.mp4", seen.rgb, 24)
        verdicts.append(verdict((tmp_path / "source.mp4", seen, twin), twin, tmp_path))
    assert verdicts[0].accepted and "invented_most" in {check.name for check in verdicts[1].failed}


def test_without_buffers_the_gate_says_which_checks_it_could_not_make(street, tmp_path):
    bare = verdict(street, street[2], tmp_path, buffers=False)
    asked = {name for name, limit in LIMITS.items() if limit is not None}
    assert bare.accepted and {check.name for check in bare.missing} == asked - NEED_NOTHING
    missing = [check for check in bare.to_dict()["checks"] if check["passed"] is None]
    assert all(check["value"] is None and check["needs"] for check in missing)
    assert not verdict(street, 0 * street[2], tmp_path, buffers=False).accepted


def test_networks_and_seams_bring_their_figures(street, tmp_path):
    path, source, twin = street
    write_clip(tmp_path / "result.mp4", twin, 24)
    classes, instances = source.classes.long(), source.instances.long()
    calls = []

    def detect(frames):  # finds everything in the source and nothing in the result
        calls.append(len(frames))
        none = torch.zeros_like(classes[: len(frames)])
        return (none, none) if len(calls) % 2 else (classes[: len(frames)], instances[: len(frames)])

    critic = lambda frames: (torch.zeros(len(frames)), torch.zeros(len(frames), 2))  # noqa: E731
    values = figures(path, tmp_path / "result.mp4", RenderedBuffers(source), critic, Extras(detect=detect, seams=(4,)))
    assert values["objects_lost_detected"] == 1 and values["critic"] == 0.5 and values["seam_ratio"] > 0


def test_clips_that_differ_are_refused(street, tmp_path):
    path, _, twin = street
    for frames in (twin[:, :48], twin[:5]):
        write_clip(tmp_path / "result.mp4", frames, 24)
        with pytest.raises(UserError):
            figures(path, tmp_path / "result.mp4")


def test_the_documentation_has_every_check_with_its_limit():
    page = (Path(__file__).parents[2] / "docs" / "gate.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    for name, check in CHECKS.items():
        (row,) = (row for row in rows if f"`{name}`" in row.split("|")[1])
        limit = "off" if check.limit is None else f"{check.limit:g}".removeprefix("0")
        numbers = re.findall(r"off|\d*\.\d+|\d+", row.split("|")[2])
        assert limit in numbers and ("at most" in row) == (check.limit is not None and not check.at_least), row


def test_verdicts_by_hand():
    limits = {"edge_f1": 0.5, "jumps": 0.01, "lamp_least": 0.7, "critic": None}
    passed = judge({"edge_f1": 0.5, "jumps": 0.01, "other": 3.0}, limits)
    assert passed.accepted and [check.passed for check in passed.checks] == [True, True, None]
    failed = judge({"edge_f1": 0.49, "jumps": 0.02, "lamp_least": 1.0}, limits)
    assert failed.to_dict(3) == {
        "accepted": False,
        "checks": [
            {"name": "edge_f1", "value": 0.49, "limit": 0.5, "passed": False},
            {"name": "jumps", "value": 0.02, "limit": 0.01, "passed": False},
            {"name": "lamp_least", "value": 1.0, "limit": 0.7, "passed": True},
        ],
        "attempts": 3,
    }
    assert failed.reason == (
        "Edges lie elsewhere than in the source (edge_f1 0.49, at least 0.5 needed); "
        "brightness flickers (jumps 0.02, at most 0.01 needed)."
    )


def test_the_best_is_the_accepted_one_with_the_most_room():
    limits = {"edge_f1": 0.5, "jumps": 0.01}
    values = [(0.9, 0.02), (0.6, 0.008), (0.8, 0.002), (0.4, 0.02)]
    verdicts = [judge({"edge_f1": edges, "jumps": jumps}, limits) for edges, jumps in values]
    assert best(verdicts) == 2 and best([verdicts[3], verdicts[0]]) == 1 and best(verdicts[:1]) == 0


MEASURED = st.dictionaries(st.sampled_from(sorted(CHECKS)), st.floats(0, 10, allow_nan=False))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(values=MEASURED, name=st.sampled_from(sorted(CHECKS)), limit=st.floats(0, 1), stricter=st.floats(0, 1))
def test_a_stricter_limit_never_accepts_what_another_rejected(values, name, limit, stricter):
    check = CHECKS[name]
    tight = limit + stricter if check.at_least else limit - stricter
    loose, strict = (judge(values, {**LIMITS, name: value}) for value in (limit, tight))
    assert loose.accepted or not strict.accepted
    short = tight < check.ideal if check.at_least else tight > check.ideal
    assert strict.margin <= loose.margin + 1e-9 or not short


def test_rounds_try_other_settings_with_noise_of_their_own():
    variant = Variant("night-0", {"cfg": 2.0}, "night", 0, 99)
    assert rounds(variant, None) == rounds(variant, GateRules()) == [[variant]]
    plans = rounds(variant, GateRules(retry=({"strength": 0.8}, {"cfg": 1.0}), best_of=2))
    assert plans[0][0] == variant and [len(plan) for plan in plans] == [2, 2, 2]
    assert [plan[0].settings for plan in plans] == [{"cfg": 2.0}, {"cfg": 2.0, "strength": 0.8}, {"cfg": 1.0}]
    seeds = [tried.seed for plan in plans for tried in plan]
    assert len(set(seeds)) == 6 and all(0 <= seed < 2**63 for seed in seeds)
    other_look = rounds(Variant("day-0", {}, "day", 0, 99), GateRules(retry=({"strength": 0.8}, {}), best_of=2))
    assert [tried.seed for plan in other_look for tried in plan] == seeds
