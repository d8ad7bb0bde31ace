"""Editing without inversion against the published updates, written out in velocity space."""

import pytest
import torch

from pipeline_core.diffusion import CFG, FLOW, VE, Only, edited, flow_from_ve, guided, sample
from pipeline_core.diffusion.sigmas import as_grid

N = 12
EVEN = torch.linspace(1, 1 / N, N, dtype=torch.float64)  # published: even steps from t = 1
ARGS = {"solver": "ddim", "state_dtype": torch.float64}


@pytest.fixture
def draws():
    g = torch.Generator().manual_seed(0)
    return [torch.randn(2, 3, 4, 5, 5, generator=g, dtype=torch.float64) for _ in range(2)]


def nonlinear(shift):
    """A denoiser that depends on its state in a curved way and knows its prompt by `shift`."""
    return lambda x, sigma: torch.tanh(0.7 * x + shift) / (1 + sigma) + 0.1 * x


PROMPTS = {"positive": nonlinear(0.4), "negative": nonlinear(-0.6), "inversion": nonlinear(0.0)}


def predict(x, sigma, branches):
    return [PROMPTS[name](x, sigma) for name in branches]


def published(z, e, w, zeta, source_guides):
    """FlowEdit's and FlowAlign's loops with one noise, as their papers print them: velocities, t from 1, dt < 0."""
    x = z.clone()
    for t, t_next in zip(EVEN.tolist(), EVEN.tolist()[1:]):
        q = (1 - t) * z + t * e
        p = x + q - z

        def velocity(state, name, t=t):
            return (state - PROMPTS[name](state, t)) / t

        low = "inversion" if source_guides else "negative"
        v_target = velocity(p, low) + w * (velocity(p, "positive") - velocity(p, low))
        v = v_target - velocity(q, "inversion")
        clean = x - t * v  # where x would be at t = 0
        x = x + (t_next - t) * v + zeta * (z - clean)
    return x


def ours(z, e, guidance, interpolant, sigmas, pull=0.0):
    steered = edited(guided(predict, guidance), guided(predict, Only("inversion")), z, e, interpolant, pull)
    state = sample(steered, e, sigmas, interpolant, x0=z, **ARGS)
    # The walk of p ends with the last sigma's noise in it: p - q is how far the edit is from the source.
    end = as_grid(sigmas, interpolant)[-1]
    return z + interpolant.a(end) * state - interpolant.add_noise(z, e, end)


@pytest.mark.parametrize("w", [1.0, 5.0])
def test_flowedit_is_the_published_walk(draws, w):
    z, e = draws
    torch.testing.assert_close(ours(z, e, CFG(w), FLOW, EVEN), published(z, e, w, 0.0, False), rtol=0, atol=1e-12)


@pytest.mark.parametrize("zeta", [0.0, 0.01])
def test_flowalign_is_cfg_from_the_sources_prompt_and_a_pull(draws, zeta):
    z, e = draws
    result = ours(z, e, CFG(3.0, negative="inversion"), FLOW, EVEN, pull=zeta * N)
    torch.testing.assert_close(result, published(z, e, 3.0, zeta, True), rtol=0, atol=1e-12)


def test_equal_prompts_change_nothing(draws):
    z, e = draws
    for interpolant, sigmas in ((FLOW, EVEN), (VE, torch.tensor([50.0, 9.0, 2.0, 0.4, 0.02]))):
        torch.testing.assert_close(ours(z, e, Only("inversion"), interpolant, sigmas), z, rtol=0, atol=1e-12)


def test_both_interpolants_step_alike(draws):
    """x_flow = x_ve / (1 + sigma_ve): one model, asked in either form, gives one edit."""
    z, e = draws
    sigmas = torch.tensor([50.0, 9.0, 2.0, 0.4, 0.02], dtype=torch.float64)

    def as_ve(x, sigma, branches):
        return predict(x / (1 + sigma), sigma / (1 + sigma), branches)

    results = []
    for ask, interpolant, grid in ((as_ve, VE, sigmas), (predict, FLOW, flow_from_ve(sigmas))):
        steered = edited(guided(ask, CFG(2.0)), guided(ask, Only("inversion")), z, e, interpolant, pull=0.3)
        results.append(sample(steered, e, grid, interpolant, x0=z, **ARGS))
    torch.testing.assert_close(*results, rtol=0, atol=1e-10)


def test_gaussian_means_are_moved_by_their_difference(draws):
    """Prompts that stand for N(m, 1): D = (x + sigma^2 m) / (1 + sigma^2) (VE). The edit moves by all of m - m_source
    but for what the last sigma leaves, whatever the noise."""
    z, e = draws
    means = {"positive": 2.0, "inversion": -1.0}

    def gaussian(x, sigma, branches):
        return [(x + sigma**2 * means[name]) / (1 + sigma**2) for name in branches]

    sigmas = torch.logspace(3, -3, 400, dtype=torch.float64)
    steered = edited(guided(gaussian, Only("positive")), guided(gaussian, Only("inversion")), z, e)
    moved = sample(steered, e, sigmas, x0=z, **ARGS) - 1e-3 * e - z
    torch.testing.assert_close(moved, torch.full_like(z, 3.0), rtol=0, atol=0.03)
