"""The dials' fixed point is the preset, and each moves the job its own way only."""

from dataclasses import replace

import pytest

from pipeline_core.conditions.stack import normalise_weights
from pipeline_core.dials import dials
from pipeline_core.errors import UserError
from pipeline_core.models.preset import Preset
from pipeline_core.settings import EnhanceSettings, resolve

CONTROLS = ("edge", "depth", "segmentation")
STEPS = [i / 10 for i in range(11)]


OTHER = Preset(strength=0.7, cfg=4.0, control_weights={"edge": 0.6, "depth": 0.2})


@pytest.mark.parametrize("preset", [Preset(), OTHER])
def test_the_middle_is_the_preset(preset):
    settings = resolve(dials(0.5, 0.5, preset, CONTROLS), preset)
    assert settings == resolve(EnhanceSettings(), preset)


@pytest.mark.parametrize("strength", [0.4, 1.0])
def test_every_position_is_a_legal_job_and_each_dial_turns_one_way(strength):
    preset = replace(Preset(), strength=strength)
    jobs = {(r, f): resolve(dials(r, f, preset, CONTROLS), preset) for r in STEPS for f in STEPS}
    for r in STEPS:
        for before, after in zip(STEPS, STEPS[1:]):
            assert jobs[before, r].strength <= jobs[after, r].strength and jobs[before, r].cfg <= jobs[after, r].cfg
            assert jobs[r, before].strength >= jobs[r, after].strength and jobs[r, before].cfg == jobs[r, after].cfg
    assert jobs[0.2, 0.5].strength < jobs[0.5, 0.5].strength and jobs[0.9, 0.5].cfg > jobs[0.5, 0.5].cfg
    assert jobs[0.5, 0.9].strength < jobs[0.5, 0.5].strength


@pytest.mark.parametrize("available", [CONTROLS, ("edge",)])
def test_less_faithful_means_weaker_controls_whatever_maps_there_are(available):
    controls = [dials(0.5, f, Preset(), available).controls for f in STEPS]
    totals = [sum(normalise_weights({name: c[name] for name in available}).values()) for c in controls]
    assert totals[0] == 0 and totals[5:] == pytest.approx([1] * 6) and totals[:6] == pytest.approx(STEPS[:11:2])
    assert all(set(c) == set(CONTROLS) for c in controls), "a control without a map is still reported missing"


@pytest.mark.parametrize("realism, faithfulness", [(-0.1, 0.5), (0.5, 1.1), (float("nan"), 0.5)])
def test_a_dial_beyond_its_ends_is_refused(realism, faithfulness):
    with pytest.raises(UserError, match="must be from 0 to 1"):
        dials(realism, faithfulness, Preset(), CONTROLS)
