"""Hand-over on the clean prediction against the paper's epsilon form, step by step, for solvers and interpolants."""

import math

import pytest
import torch

from pipeline_core.diffusion import FLOW, VE, flow_from_ve, invert, karras_sigmas, sample
from pipeline_core.errors import UserError
from pipeline_core.longvideo.handover import (
    HandOver,
    corrected,
    fading,
    handed_predict,
    handed_start,
    last_corrected,
    share_noise,
    with_handover,
)
from pipeline_core.longvideo.plan import latent_frames, plan_windows

SHAPE, R, AT = (2, 3, 5, 4, 6), 2, 1
SHARED, REST = slice(AT, AT + R), [0, 3, 4]


def drawn(seed, shape=SHAPE):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def hand_over(seed=9, flow=None, anchor=0.0):
    part = (*SHAPE[:2], R, *SHAPE[3:])
    return HandOver(drawn(seed, part), drawn(seed + 1, part), AT, flow, anchor)


def mixing(x, sigma):
    """A denoiser whose frames look at one another, so that a correction of one reaches all."""
    return torch.tanh(x / (1 + sigma)) * 0.6 + 0.3 * x.mean(2, keepdim=True) / (1 + sigma)


def paper_epsilon(z_t, eps, z_ref, abar):
    """The printed update, word for word: eps of the shared frames from z_ref, their mean change for the others."""
    eps_ref = (z_t[:, :, SHARED] - math.sqrt(abar) * z_ref) / math.sqrt(1 - abar)
    delta = eps_ref - eps[:, :, SHARED]
    out = eps.clone()
    out[:, :, SHARED] += delta
    out[:, :, REST] += delta.mean(2, keepdim=True)
    return out


@pytest.mark.parametrize("abar", [0.999, 0.5, 0.02])
def test_the_update_is_the_papers_epsilon_form(abar):
    z_t, eps, given = drawn(1), drawn(2), hand_over()
    x0 = (z_t - math.sqrt(1 - abar) * eps) / math.sqrt(abar)
    theirs = (z_t - math.sqrt(1 - abar) * paper_epsilon(z_t, eps, given.z_ref, abar)) / math.sqrt(abar)
    assert float((corrected(x0, given) - theirs).abs().max() / theirs.abs().max()) < 1e-12


def test_a_whole_ddim_run_is_the_papers_in_its_own_variables():
    """Their loop in VP variables with epsilon and abar, ours in VE with a wrapped denoiser."""
    given, sigmas = hand_over(), karras_sigmas(8, 0.05, 10.0).double()
    noise = share_noise(drawn(3), given)
    grid = [float(s) for s in sigmas]
    abars = [1 / (1 + s * s) for s in grid]
    z = math.sqrt(1 - abars[0]) * noise
    for i, (abar, after) in enumerate(zip(abars, abars[1:])):
        x0 = mixing(z / math.sqrt(abar), grid[i])
        eps = (z - math.sqrt(abar) * x0) / math.sqrt(1 - abar)
        if i < (len(grid) - 1) // 2:
            eps = paper_epsilon(z, eps, given.z_ref, abar)
        x0 = (z - math.sqrt(1 - abar) * eps) / math.sqrt(abar)
        z = math.sqrt(after) * x0 + math.sqrt(1 - after) * eps
    theirs = z / math.sqrt(abars[-1])
    ours = sample(with_handover(mixing, given, last_corrected(sigmas)), noise, sigmas)
    assert float((ours - theirs).abs().max()) < 1e-12
    assert float((ours - sample(mixing, noise, sigmas)).abs().max()) > 0.05


@pytest.mark.parametrize("solver", ["ddim", "heun", "midpoint", "dpmpp_2m", "res_2ab", "exact"])
@pytest.mark.parametrize("interpolant", [VE, FLOW])
def test_corrected_to_the_end_every_solver_gives_the_earlier_window_back(solver, interpolant):
    given, sigmas = hand_over(), karras_sigmas(9, 0.01, 20.0).double()
    sigmas = flow_from_ve(sigmas) if interpolant == FLOW else sigmas
    handed = with_handover(mixing, given, 0.0)
    noise = drawn(4)
    if solver == "exact":
        inversion = invert(mixing, drawn(5) * 0.5, sigmas, interpolant, "exact")
        noise, solver = inversion.noise, inversion.solver
    plain = sample(mixing, noise, sigmas, interpolant, solver=solver)
    noise, solver = handed_start(noise, solver, given)
    result = sample(handed, noise, sigmas, interpolant, solver=solver)
    off = float((result[:, :, SHARED] - given.z_ref).abs().max())
    assert off < 0.08, "the last level is 0.01, and that much of the noise is left at it"
    assert float((result[:, :, REST] - plain[:, :, REST]).abs().max()) > 0.01


def test_still_motion_is_the_mean_and_nothing_seen_is_no_correction():
    given, x0 = hand_over(), drawn(6)
    still = torch.zeros(SHAPE[2], R, *SHAPE[3:], 2)
    assert torch.allclose(corrected(x0, hand_over(flow=still)), corrected(x0, given), atol=1e-12)
    blind = corrected(x0, hand_over(flow=still * torch.nan))
    assert torch.equal(blind[:, :, REST], x0[:, :, REST]) and torch.equal(blind[:, :, SHARED], given.z_ref)


def test_anchored_the_correction_is_whole_at_the_seam_and_gone_at_the_end():
    given, x0, flow = hand_over(), drawn(6), torch.zeros(SHAPE[2], R, *SHAPE[3:], 2)
    published = corrected(x0, given)
    anchored = hand_over(anchor=1.0)
    assert fading(SHAPE[2], given).tolist() == [1] * SHAPE[2]
    assert fading(SHAPE[2], anchored).tolist() == [1, 1, 1, 0.5, 0] and float(fading(3, anchored).min()) == 1
    for motion in (None, flow):
        held = corrected(x0, hand_over(flow=motion, anchor=1.0))
        assert torch.allclose(held[:, :, : SHARED.stop], published[:, :, : SHARED.stop], atol=1e-12)
        assert torch.allclose(held[:, :, 3], (x0 + published)[:, :, 3] / 2, atol=1e-12)
        assert torch.equal(held[:, :, 4], x0[:, :, 4]), "what the next window takes over is this window's own"


def test_an_error_of_one_window_reaches_the_end_of_a_long_run_only_without_an_anchor():
    """Ten windows of a model that answers 0: a first result that is off by one is handed on for ever, or dies out."""
    for anchor, last in ((0.0, 1.0), (1.0, 0.0)):
        z_ref = torch.ones(1, 1, R, 2, 2, dtype=torch.float64)
        for _ in range(10):
            given = HandOver(z_ref, z_ref, AT, anchor=anchor)
            window = corrected(torch.zeros(1, 1, 8, 2, 2, dtype=torch.float64), given)
            z_ref = window[:, :, -R:]
        assert abs(float(z_ref.mean()) - last) < 1e-3


def test_a_window_that_already_agrees_is_left_alone():
    x0 = drawn(7)
    given = HandOver(x0[:, :, SHARED].clone(), x0[:, :, SHARED].clone(), AT)
    assert torch.equal(corrected(x0, given), x0) and torch.equal(share_noise(x0, given), x0)


def test_nothing_is_changed_in_place_and_below_the_level_nothing_at_all():
    given, x0 = hand_over(), drawn(8)
    kept = x0.clone(), given.z_ref.clone()
    corrected(x0, given), share_noise(x0, given)
    assert torch.equal(x0, kept[0]) and torch.equal(given.z_ref, kept[1])
    handed = with_handover(mixing, given, 1.0)
    assert torch.equal(handed(x0, 1.0), mixing(x0, 1.0)) and not torch.equal(handed(x0, 1.01), mixing(x0, 1.01))
    sigmas = torch.tensor([4.0, 3.0, 2.0, 1.5, 1.0])
    assert [last_corrected(sigmas, share) for share in (0, 0.5, 1)] == [4.0, 2.0, 1.0]


def test_what_does_not_fit_is_refused():
    given = hand_over()
    with pytest.raises(UserError, match="same size and plan"):
        corrected(drawn(1)[..., :5], given)
    with pytest.raises(UserError, match="same size and plan"):
        corrected(drawn(1)[:, :, :2], given)
    with pytest.raises(UserError, match="latent_flow"):
        hand_over(flow=torch.zeros(5, R + 1, 4, 6, 2))
    with pytest.raises(UserError, match="change share"):
        last_corrected(torch.tensor([1.0, 0.5]), 2)


@pytest.mark.parametrize("anchor", [0.0, 0.5])
def test_all_windows_held_at_every_call_is_the_same_rule_window_by_window(anchor):
    """Three windows of one long latent, answered one after the other by hand, each corrected by the one before."""
    windows, ratio = plan_windows(17, 9, 5, 4), 4
    spans = [latent_frames(window, ratio) for window in windows]
    x = drawn(11, (2, 3, spans[-1].stop, 4, 6))
    predicts = [lambda z, s, names, k=k: [(k + 1) * mixing(z, s) for _ in names] for k in range(len(windows))]
    (ours,) = handed_predict(predicts, windows, ratio, anchor)(x, 2.0, ["x0"])
    before = None
    for k, span in enumerate(spans):
        answer = (k + 1) * mixing(x[:, :, span.start : span.stop], 2.0)
        if k:
            shared = range(span.start + 1, spans[k - 1].stop)  # one latent frame of lead-in
            z_ref = before[:, :, shared.start - spans[k - 1].start : shared.stop - spans[k - 1].start]
            own = slice(1, 1 + len(shared))
            mean = (z_ref - answer[:, :, own]).mean(2, keepdim=True)
            after = answer.shape[2] - own.stop
            fall = torch.tensor([1.0] * own.stop + [1 - anchor * (i + 1) / after for i in range(after)]).double()
            answer = answer + fall.reshape(-1, 1, 1) * mean
            answer[:, :, own] = z_ref
        new = 1 if k else 0
        assert torch.allclose(
            ours[:, :, span.start + new : span.stop][:, :, : len(span)], answer[:, :, new:], atol=1e-12
        )
        before = answer
