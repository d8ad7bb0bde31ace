"""Fused windows against the least-squares problem they solve, and the identities that need no model."""

import pytest
import torch

from pipeline_core.diffusion import CFG, guided, karras_sigmas, sample
from pipeline_core.errors import UserError
from pipeline_core.longvideo import fused as fused_module
from pipeline_core.longvideo.fused import fused_predict
from pipeline_core.longvideo.plan import latent_frames, plan_windows
from pipeline_core.video.overlaps import window_weights

SPANS = [range(0, 5), range(3, 8), range(6, 11)]


def drawn(seed, frames=11):
    return torch.randn(1, 2, frames, 3, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def fused(denoisers, spans, lead_in=0):
    """denoise(x, sigma) of windows that have one branch each."""
    predict = fused_predict([lambda x, sigma, _, d=d: [d(x, sigma)] for d in denoisers], spans, lead_in)
    return lambda x, sigma: predict(x, sigma, ["x0"])[0]


@pytest.mark.parametrize(
    "frames, window, overlap, ratio", [(49, 17, 5, 4), (200, 17, 9, 4), (23, 8, 3, 1), (9, 17, 5, 4)]
)
def test_weights_add_up_to_one_and_a_lead_in_has_none(frames, window, overlap, ratio):
    windows, lead_in = plan_windows(frames, window, overlap, ratio), int(ratio > 1)
    spans = [latent_frames(w, ratio) for w in windows]
    total = torch.zeros(spans[-1].stop, dtype=torch.float64)
    for i, (span, weight) in enumerate(zip(spans, window_weights(spans, lead_in))):
        total[span.start : span.stop] += weight
        assert not bool(weight[: lead_in if i else 0].any()) and bool((weight[lead_in:] > 0).all())
    assert torch.allclose(total, torch.ones_like(total), atol=1e-14)


def test_it_is_the_least_squares_answer_to_all_windows():
    """argmin_D sum_i w_i |D_i - D|^2, solved frame by frame as a linear system from the pyramid weights."""
    ramp = torch.tensor([1.0, 2.0, 3.0, 2.0, 1.0], dtype=torch.float64)
    wanted = [drawn(i, 5) for i in range(3)]
    rows = torch.cat([torch.nn.functional.one_hot(torch.arange(s.start, s.stop), 11).double() for s in SPANS])
    scale = ramp.repeat(3).sqrt()[:, None]
    right = torch.cat(wanted, 2).movedim(2, 0).flatten(1)
    solved = torch.linalg.lstsq(scale * rows, scale * right).solution
    ours = fused([lambda x, sigma, w=w: w for w in wanted], SPANS)(drawn(9), 1.0)
    assert torch.allclose(ours.movedim(2, 0).flatten(1), solved, atol=1e-12)


def test_windows_that_each_see_only_their_frames_make_one_long_denoiser():
    def own(x, sigma):
        return torch.tanh(x / (1 + sigma))

    sigmas, noise = karras_sigmas(6, 0.02, 20.0).double(), drawn(3)
    long = fused([own] * 3, SPANS, lead_in=1)
    assert torch.allclose(sample(long, noise, sigmas), sample(own, noise, sigmas), atol=1e-12)
    seen = []
    fused([lambda x, sigma: seen.append(x) or x] * 3, SPANS)(noise, 1.0)
    assert all(torch.equal(x, noise[:, :, s.start : s.stop]) for x, s in zip(seen, SPANS))


def test_every_branch_is_fused_by_itself_so_that_guidance_may_come_before_or_after():
    def branches_of(i):
        return lambda x, sigma, names: [torch.tanh((x + i) * len(name)) for name in names]

    predicts, guidance, x = [branches_of(i) for i in range(3)], CFG(3.0), drawn(5)
    after = guided(fused_predict(predicts, SPANS, 1), guidance)(x, 1.0)
    before = fused([guided(p, guidance) for p in predicts], SPANS, 1)(x, 1.0)
    assert torch.allclose(after, before, atol=1e-12)


def test_what_does_not_match_is_refused():
    with pytest.raises(UserError, match="latent frame 5"):
        window_weights([range(0, 5), range(5, 10)], lead_in=1)
    with pytest.raises(UserError, match="one each"):
        fused([lambda x, sigma: x], SPANS)
    with pytest.raises(UserError, match="10 frames came"):
        fused([lambda x, sigma: x] * 3, SPANS)(drawn(1, 10), 1.0)


def test_a_predictor_that_is_built_at_every_step_shares_its_weights(monkeypatch):
    """As hosts do that ask step by step: one counting of weights for all of a pass, and a copy a device and type."""
    counted, spans = [], [range(0, 4), range(3, 9)]
    monkeypatch.setattr(fused_module, "window_weights", lambda *given: counted.append(given) or window_weights(*given))
    answers = [fused([lambda x, _: -x, lambda x, _: 2 * x], spans)(drawn(0, 9), 1.0) for _ in range(3)]
    assert len(counted) == 1 and all(torch.equal(answer, answers[0]) for answer in answers)
