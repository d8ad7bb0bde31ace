"""A recipe's gate as every worker loads it: the usual limits hold unless the recipe says otherwise, by look."""

import pytest
import torch

from pipeline_core.batch.checks import CHECKS
from pipeline_core.batch.judging import load_gate
from pipeline_core.batch.recipe import load_recipe, parse_recipe
from pipeline_core.video.media import write_clip
from pipeline_core.world import RenderedBuffers, make_scene, render

USUAL = {name for name, check in CHECKS.items() if check.limit is not None}


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """(a source as a file, its buffers, a grey clip of its shape)."""
    folder, source = tmp_path_factory.mktemp("judging"), render(make_scene(800_008), 5, (96, 160))
    write_clip(folder / "source.mp4", source.rgb, 24)
    write_clip(folder / "grey.mp4", torch.full_like(source.rgb, 0.5), 24)
    return folder / "source.mp4", RenderedBuffers(source), folder / "grey.mp4"


def names(verdict):
    return {check.name for check in verdict.checks}


def test_without_a_recipe_every_usual_limit_holds(street):
    path, buffers, grey = street
    figures, verdict = load_gate(load_recipe(None).gate).judged(path, grey, buffers, [[0, 5]])
    assert names(verdict) == USUAL and "critic" in figures
    assert {"contrast_least", "edge_f1", "object_least"} <= {check.name for check in verdict.failed}


def test_some_limits_do_not_hold_in_every_look(street):
    path, buffers, grey = street
    gate = load_gate(load_recipe(None).gate)
    for look in ("day", "fog", "snow"):
        off = {name for name, check in CHECKS.items() if look in check.off_in}
        assert names(gate.judged(path, grey, buffers, [[0, 5]], look)[1]) == USUAL - off, look


def test_a_recipe_s_limits_go_before_the_usual_ones(street):
    path, buffers, grey = street
    rules = parse_recipe({"gate": {"thresholds": {"critic": None, "jumps": 0.5, "object_least": 0.0}}}).gate
    gate = load_gate(rules)
    assert gate.critic is None
    _, verdict = gate.judged(path, grey, buffers, [[0, 5]], "fog")
    limits = {check.name: check.limit for check in verdict.checks}
    assert limits["jumps"] == 0.5 and limits["object_least"] == 0.0 and "critic" not in limits
    assert limits["edge_f1"] == CHECKS["edge_f1"].limit and "light_least" not in limits
    assert load_gate(parse_recipe({"gate": False}).gate) is None
