"""Guidance objects against formulas written out by hand, and branch economy."""

import pytest
import torch

from pipeline_core.diffusion import (
    CFG,
    ConflictDamping,
    Interval,
    Only,
    Rescale,
    SimDrop,
    VideoText,
    guided,
    invert,
    karras_sigmas,
    sample,
)
from pipeline_core.errors import UserError

NAMES = ["positive", "negative", "inversion", "reference", "uncond", "video", "video_text"]


@pytest.fixture
def answers():
    g = torch.Generator().manual_seed(0)
    return {name: torch.randn(2, 3, 2, 8, 8, generator=g, dtype=torch.float64) for name in NAMES}


class Predict:
    """Answers from a table, remembering what was asked."""

    def __init__(self, answers):
        self.answers, self.asked = answers, []

    def __call__(self, x, sigma, branches):
        self.asked.append(tuple(branches))
        return [self.answers[b] for b in branches]


def run(guidance, answers, sigma=1.0):
    predict = Predict(answers)
    x0 = guided(predict, guidance)(torch.zeros(2, 3, 2, 8, 8), sigma)
    assert len(predict.asked) == 1 and len(set(predict.asked[0])) == len(predict.asked[0])
    assert set(predict.asked[0]) <= set(guidance.branches())
    return x0, predict.asked[0]


def std(x):
    return x.flatten(1).std(1, correction=0).reshape(-1, 1, 1, 1, 1)


def test_cfg_is_a_weighted_sum(answers):
    p, n = answers["positive"], answers["negative"]
    for s in (0.5, 2.0, 7.0):
        x0, asked = run(CFG(s), answers)
        torch.testing.assert_close(x0, n + s * (p - n))
        assert set(asked) == {"positive", "negative"}
    torch.testing.assert_close(run(CFG(8.0), answers)[0], p + 7 * (p - n))  # NVIDIA's guidance 7


def test_scale_one_and_zero_cost_one_branch(answers):
    for guidance, name in [(CFG(1.0), "positive"), (CFG(0.0), "negative")]:
        x0, asked = run(guidance, answers)
        assert asked == (name,) and torch.equal(x0, answers[name])


def test_insv2v_three_terms(answers):
    u, v, vt = (answers[k] for k in ("uncond", "video", "video_text"))
    x0, asked = run(VideoText(1.2, 7.5), answers)
    torch.testing.assert_close(x0, u + 1.2 * (v - u) + 7.5 * (vt - v))
    assert set(asked) == {"uncond", "video", "video_text"}
    assert run(VideoText(1.0, 1.0), answers)[1] == ("video_text",)
    x0, asked = run(VideoText(3.0, 3.0), answers)  # equal scales: plain CFG, video drops out
    assert set(asked) == {"uncond", "video_text"}
    torch.testing.assert_close(x0, u + 3 * (vt - u))
    assert set(run(VideoText(1.0, 4.0), answers)[1]) == {"video", "video_text"}


def test_sums_are_the_same_in_epsilon_space_and_what_measures_a_prediction_is_not(answers):
    """eps = (x - D) / sigma: guiding either and translating agrees for weights that add up to 1 only."""
    sigma, x = 1.7, torch.randn(2, 3, 2, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    epsilons = {name: (x - d) / sigma for name, d in answers.items()}
    for guidance, same in (
        (CFG(6.0), True),
        (VideoText(1.2, 7.5), True),
        (Interval(CFG(4.0), 0.5, 2.0), True),
        (ConflictDamping(CFG(4.0)), True),  # a ratio of two differences
        (Rescale(CFG(6.0), 0.7), False),
        (SimDrop(CFG(3.0), 5.0, cap=0.2), False),
    ):
        translated = (x - guidance.combine(answers, sigma)) / sigma
        error = (guidance.combine(epsilons, sigma) - translated).norm() / translated.norm()
        assert float(error) < 1e-12 if same else float(error) > 0.01, guidance


def test_interval_is_off_outside_and_then_free(answers):
    guidance = Interval(CFG(4.0), 0.5, 2.0)
    for sigma in (0.5, 1.0, 2.0):
        assert set(run(guidance, answers, sigma)[1]) == {"positive", "negative"}
        torch.testing.assert_close(run(guidance, answers, sigma)[0], run(CFG(4.0), answers)[0])
    for sigma in (0.49, 2.01):
        assert run(guidance, answers, sigma)[1] == ("positive",)
    assert set(guidance.branches()) == {"positive", "negative"}
    with pytest.raises(UserError, match="sigma_low"):
        Interval(CFG(2.0), 2.0, 1.0)


def test_rescale_gives_the_conditional_std(answers):
    plain = run(CFG(6.0), answers)[0]
    full = run(Rescale(CFG(6.0), 1.0), answers)[0]
    torch.testing.assert_close(std(full), std(answers["positive"]))
    torch.testing.assert_close(full / std(full), plain / std(plain))
    torch.testing.assert_close(run(Rescale(CFG(6.0), 0.4), answers)[0], 0.4 * full + 0.6 * plain)
    assert torch.equal(run(Rescale(CFG(6.0), 0.0), answers)[0], plain)
    with pytest.raises(UserError, match="share"):
        Rescale(CFG(2.0), 1.5)


def test_simdrop_is_bounded_and_free_at_zero(answers):
    p, r = answers["positive"], answers["reference"]
    plain = run(CFG(3.0), answers)[0]
    x0, asked = run(SimDrop(CFG(3.0), 0.01), answers)
    assert sorted(asked) == ["negative", "positive", "reference"]
    torch.testing.assert_close(x0, plain + 0.01 * (p - r))
    for weight in (5.0, -5.0):
        term = run(SimDrop(CFG(3.0), weight, cap=0.2), answers)[0] - plain
        rms = term.flatten(1).square().mean(1).sqrt() / p.flatten(1).square().mean(1).sqrt()
        torch.testing.assert_close(rms, torch.full_like(rms, 0.2))
        torch.testing.assert_close(
            term / term.norm(), (weight * (p - r)) / (weight * (p - r)).norm(), rtol=0.3, atol=0.02
        )
    assert run(SimDrop(CFG(1.0), 0.0), answers)[1] == ("positive",)
    assert torch.isfinite(run(SimDrop(CFG(3.0), 1.0), {**answers, "reference": p})[0]).all()


def test_simdrop_leaves_low_frequencies_where_they_were():
    """A push that is a constant and a checkerboard: the constant is left out, the checkerboard stays."""
    y, x = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    board = (((y + x) % 2) * 2.0 - 1).expand(1, 4, 3, 8, 8)
    answers = {"positive": 5 + torch.zeros(1, 4, 3, 8, 8), "reference": 4.9 - 0.2 * board}
    pushed = SimDrop(CFG(1.0), 1.0, low=0.25).combine(answers, 1.0) - answers["positive"]
    torch.testing.assert_close(pushed, 0.2 * board, atol=1e-5, rtol=0)
    whole = SimDrop(CFG(1.0), 1.0).combine(answers, 1.0) - answers["positive"]
    torch.testing.assert_close(whole, 0.1 + 0.2 * board, atol=1e-5, rtol=0)
    assert float(SimDrop(CFG(1.0), 1.0, low=1.0).combine(answers, 1.0).sub(5).abs().max()) < 1e-5


def length(x):
    return x.square().sum(1, keepdim=True).sqrt()


@pytest.mark.parametrize("scale", [1.1, 4.0, 40.0])
def test_damped_guidance_reaches_no_further_than_the_prompt_itself_allows(answers, scale):
    p, n, s = (answers[name] for name in ("positive", "negative", "inversion"))
    damped, asked = run(ConflictDamping(CFG(scale), reach=0.3), answers)
    assert sorted(asked) == ["inversion", "negative", "positive"]
    g, plain, bound = damped - p, (scale - 1) * (p - n), 0.3 * length(p - s)
    assert bool((length(g) <= bound * (1 + 1e-9)).all())
    # it only shortens, at every position by as much as needed and no more
    torch.testing.assert_close(length(g), torch.minimum(length(plain), bound))
    torch.testing.assert_close((g * plain).sum(1, keepdim=True), length(g) * length(plain))


def test_damping_protects_what_both_prompts_agree_on_and_leaves_the_rest_alone(answers):
    here = torch.zeros(1, 1, 1, 8, 8, dtype=torch.bool)
    here[..., :4] = True
    # left: the structure branch sees what the positive one sees; right: the prompt changes everything
    far = answers["positive"] + 1e3
    told = {**answers, "inversion": torch.where(here, answers["positive"], far)}
    damped, plain = run(ConflictDamping(CFG(7.0)), told)[0], run(CFG(7.0), told)[0]
    torch.testing.assert_close(damped, torch.where(here, answers["positive"], plain))


def test_damping_off_or_unneeded_is_free(answers):
    assert set(run(ConflictDamping(CFG(4.0), 0.0), answers)[1]) == {"positive", "negative"}
    assert torch.equal(run(ConflictDamping(CFG(4.0), 0.0), answers)[0], run(CFG(4.0), answers)[0])
    assert run(ConflictDamping(CFG(1.0)), answers)[1] == ("positive",)
    torch.testing.assert_close(run(ConflictDamping(CFG(4.0), reach=0.0), answers)[0], answers["positive"])
    half = run(ConflictDamping(CFG(4.0), 0.5), answers)[0]
    torch.testing.assert_close(half, (run(CFG(4.0), answers)[0] + run(ConflictDamping(CFG(4.0)), answers)[0]) / 2)
    same = {**answers, "negative": answers["positive"]}
    torch.testing.assert_close(run(ConflictDamping(CFG(4.0)), same)[0], answers["positive"])


def test_objects_nest_and_share_branches(answers):
    nest = Rescale(SimDrop(ConflictDamping(Interval(CFG(5.0), 0.0, 10.0)), 0.05), 0.5)
    x0, asked = run(nest, answers)
    assert sorted(asked) == ["inversion", "negative", "positive", "reference"] and torch.isfinite(x0).all()
    assert sorted(run(nest, answers, sigma=20.0)[1]) == ["positive", "reference"]


def test_predict_is_called_once_per_step_with_the_branches_of_that_sigma(mixture):
    x0, grid = mixture.draw(2), karras_sigmas(10)
    asked = []

    def predict(x, sigma, branches):
        asked.append((sigma, tuple(branches)))
        table = {"positive": 1.0, "negative": 4.0, "inversion": 1.0}
        return [mixture.denoiser(cfg=table[b])(x, sigma) for b in branches]

    inversion = invert(guided(predict, Only("inversion")), x0, grid, method="euler")
    assert [b for _, b in asked] == [("inversion",)] * 10
    asked.clear()
    sample(guided(predict, Interval(CFG(2.0), 0.1, 5.0)), inversion.noise, grid, x0=x0)
    assert len(asked) == 10
    for sigma, branches in asked:
        assert branches == (("positive", "negative") if 0.1 <= sigma <= 5.0 else ("positive",))


def test_errors(answers):
    with pytest.raises(UserError, match="one each"):
        guided(lambda x, s, b: [x], CFG(2.0))(torch.zeros(1, 2), 1.0)
    for make, named in (
        (lambda: ConflictDamping(CFG(2.0), 2.0), "strength"),
        (lambda: ConflictDamping(CFG(2.0), reach=-0.1), "reach"),
        (lambda: ConflictDamping(CFG(2.0), structure="positive"), "two prompts"),
        (lambda: SimDrop(CFG(2.0), 1.0, cap=0.0), "cap"),
        (lambda: SimDrop(CFG(2.0), 1.0, low=1.5), "low"),
    ):
        with pytest.raises(UserError, match=named):
            make()
    assert run(Only("video"), answers)[1] == ("video",)
