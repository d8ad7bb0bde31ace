"""Oracles: numpy's polyfit, jumps and creeps of known size, the world's own flow."""

import numpy as np
import pytest
import torch

from pipeline_core.errors import UserError
from pipeline_core.metrics.seams import Drift, SeamError, plan_seams, slope
from pipeline_core.metrics.temporal import FlowError
from pipeline_core.world import make_scene, render


@pytest.fixture(scope="module")
def drive():
    return render(make_scene(1), 7, (48, 80), "synthetic")


def run(metric, *clips, chunks=(100,)):
    start = 0
    for size in chunks:
        metric.update(*(c[start : start + size] for c in clips))
        start += size
    return metric.compute()


def test_a_brightness_jump_at_a_seam_is_its_square():
    clip = torch.full((6, 8, 9, 3), 0.4)
    clip[1:] += 0.01
    clip[3:] += 0.2
    flow = torch.zeros(6, 8, 9, 2)
    figures = run(SeamError([3]), clip, flow)
    assert figures["mamse"].value == pytest.approx(0.04, rel=1e-4)
    assert figures["mamse_inside"].value == pytest.approx(1e-4 / 4, rel=1e-3)
    assert figures["seam_ratio"].value == pytest.approx(1600, rel=1e-3)
    assert run(SeamError([3]), clip, flow, chunks=(2, 1, 3)) == figures


def test_motion_is_taken_out_with_the_right_sign(drive):
    """The world's own flow on its own clip, and the same flow turned round. (The render has hard, aliased edges:
    interpolating them costs the mean absolute error more than standing still does, the square less.)"""
    ids = drive.instances
    for metric, name in ((lambda: SeamError([4]), "mamse_inside"), (FlowError, "warped_error")):
        along, against, still = (run(metric(), drive.rgb, drive.flow * s, ids)[name].value for s in (1, -1, 0))
        assert along < 0.8 * against and (name == "warped_error" or along < 0.8 * still), (name, along, against, still)


def test_a_seam_shows_in_the_world_and_no_seam_does_not(drive):
    cut = drive.rgb.clone()
    cut[4:] = (cut[4:] * 0.85 + 0.05).clamp(0, 1)
    flow, ids = drive.flow, drive.instances
    plain, seamed = (run(SeamError([4]), clip, flow, ids)["seam_ratio"].value for clip in (drive.rgb, cut))
    assert 0.3 < plain < 2 and seamed > 1.5 * plain


def test_seams_that_cannot_be_measured_say_why():
    clip, flow = torch.full((3, 6, 6, 3), 0.5), torch.zeros(3, 6, 6, 2)
    still = run(SeamError([1]), clip, flow)
    assert still["mamse"].value == 0 and still["seam_ratio"].value is None
    assert "nothing changes" in still["seam_ratio"].note
    none = run(SeamError([]), clip, flow)
    assert none["mamse"].value is None and "no seams" in none["seam_ratio"].note and none["mamse_inside"].value == 0
    late = run(SeamError([1, 9]), clip, flow)
    assert "1 beyond the last frame" in late["mamse"].note
    assert "all seams lie beyond" in run(SeamError([9]), clip, flow)["seam_ratio"].note
    blind = run(SeamError([1]), clip, flow * torch.nan)
    assert blind["mamse"].value is None and blind["mamse_inside"].value is None
    with pytest.raises(UserError, match="from 1"):
        SeamError([0])
    with pytest.raises(UserError, match="Flow of shape"):
        SeamError([1]).update(clip, flow[:2])


def test_slope_is_polyfit_s():
    rng = np.random.default_rng(0)
    values = rng.normal(size=30)
    assert slope(values) == pytest.approx(np.polyfit(np.arange(30), values, 1)[0])
    kept = np.array([0, 3, 4, 9])
    gaps = [float(values[t]) if t in kept else None for t in range(12)]
    assert slope(gaps) == pytest.approx(np.polyfit(kept, values[kept], 1)[0])
    assert slope([1.0, None]) is None and slope([]) is None


def test_drift_is_the_creep_and_not_the_style(drive):
    source = drive.rgb.double() * 0.5 + 0.2
    ramp = torch.linspace(0, 0.06, 7).view(-1, 1, 1, 1)
    brighter = run(Drift(), (source + 0.1 + ramp).float(), source.float(), chunks=(3, 1, 3))
    assert brighter["drift_brightness"].value == pytest.approx(1.0, abs=1e-4)
    for name in ("contrast", "chroma", "detail"):
        assert abs(brighter[f"drift_{name}"].value) < 1e-4
    mean = source.mean((1, 2), keepdim=True)
    static = run(Drift(), source[:1].expand_as(source).float() * 0.5, source[:1].expand_as(source).float())
    assert all(abs(f.value) < 1e-6 for f in static.values())
    faded = (mean[:1] + (source[:1] - mean[:1]) * (1 - 2 * ramp)).float()
    fading = run(Drift(), faded, source[:1].expand_as(source).float())
    spread = (source[0] @ torch.tensor([0.2126, 0.7152, 0.0722], dtype=torch.float64)).std(correction=0).item()
    assert fading["drift_contrast"].value == pytest.approx(-2 * spread, rel=1e-3)
    assert fading["drift_chroma"].value < 0 and fading["drift_detail"].value < 0
    short = run(Drift(), source[:1].float(), source[:1].float())
    assert all(f.value is None and "two frames" in f.note for f in short.values())


def test_seams_of_a_plan():
    assert plan_seams([(0, 17), (16, 33), (30, 47)]) == (16, 17, 30, 31, 32, 33)
    assert plan_seams([[8, 12], [0, 8]]) == (8,)  # no overlap: one hard cut, and in any order
    assert plan_seams([(0, 17)]) == plan_seams([]) == ()
