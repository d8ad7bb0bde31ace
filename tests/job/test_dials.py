"""The dials' fixed point is the preset, and each moves the job its own way only."""

from dataclasses import replace

import pytest

from pipeline_core.errors import UserError
from pipeline_core.job.dials import dials
from pipeline_core.job.settings import EnhanceSettings, resolve
from pipeline_core.models.folders.preset import Preset

STEPS = [i / 10 for i in range(11)]
PRESETS = [
    Preset(),
    Preset(strength=0.7, cfg=4.0, control_weights={"edge": 0.6, "depth": 0.2}),
    Preset(start="sdedit", strength=0.6, cfg=3.0),
]


@pytest.mark.parametrize("preset", PRESETS)
def test_the_middle_is_the_preset(preset):
    assert resolve(dials(0.5, 0.5, preset), preset) == resolve(EnhanceSettings(), preset)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_position_is_a_legal_job_and_each_dial_turns_one_way(preset):
    jobs = {(r, f): resolve(dials(r, f, preset), preset) for r in STEPS for f in STEPS}
    for other in STEPS:
        for before, after in zip(STEPS, STEPS[1:]):
            one, two = jobs[before, other], jobs[after, other]
            assert one.strength <= two.strength and one.cfg <= two.cfg and one.noise_blend == two.noise_blend
            one, two = jobs[other, before], jobs[other, after]
            assert one.strength >= two.strength and one.cfg <= two.cfg and one.noise_blend >= two.noise_blend
    middle = jobs[0.5, 0.5]
    for realism, faithfulness in ((0.4, 0.5), (0.6, 0.5), (0.5, 0.4), (0.5, 0.6)):
        assert jobs[realism, faithfulness] != middle


def test_a_full_start_gives_way_evenly_in_log_sigma():
    def sigma(realism):
        strength = dials(realism, 0.5, Preset()).strength
        return strength / (1 - strength)

    ratios = [sigma(r + 0.1) / sigma(r) for r in (0.0, 0.1, 0.2, 0.3)]
    assert ratios == pytest.approx([ratios[0]] * 4) and sigma(0.0) == pytest.approx(1.0)


def test_faithfulness_trades_noise_for_guidance_and_freedom_is_fresh_noise():
    faithful, free = dials(0.5, 1.0, Preset()), dials(0.5, 0.0, Preset())
    assert faithful.strength < 1 and faithful.cfg > 1 and faithful.noise_blend == 0
    assert free.strength == 1 and free.cfg == 1 and free.noise_blend > 0
    other = dials(0.5, 0.0, replace(Preset(), start="sdedit", strength=0.6))
    assert other.noise_blend == 0 and other.strength == 1, "a start without inversion has no noise to blend"


@pytest.mark.parametrize("realism, faithfulness", [(-0.1, 0.5), (0.5, 1.1), (float("nan"), 0.5)])
def test_a_dial_beyond_its_ends_is_refused(realism, faithfulness):
    with pytest.raises(UserError, match="must be from 0 to 1"):
        dials(realism, faithfulness, Preset())
