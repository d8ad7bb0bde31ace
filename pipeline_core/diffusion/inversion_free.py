"""Editing without inversion: how the prompts differ is asked under the same noise, and only that is changed.

FlowEdit (arXiv 2412.08629) walks z_edit from the source z along V_target(p) - V_source(q), with q = (1 - t) z + t e and
p = z_edit + q - z. As V(x) = (x - D(x)) / sigma, its step is x' = x + (sigma' - sigma) (x - X) / sigma with

    X = z + D_target(p) - D_source(q),   q = a z + sigma e

in VE as in FLOW. With one noise e for all steps the walk of p itself is the DDIM step towards X, from p = q at the
first sigma. So FlowEdit is sampling from the source under noise (SDEdit's start) with X as the prediction, and every
solver, guidance, window and hand-over serves it as it is. FlowAlign (arXiv 2505.23145) guides from the source's prompt,
D_source(p) + w (D_target(p) - D_source(p)), which is CFG with that prompt as the negative, and pulls each step back by
zeta (z - X): X + pull sigma_flow (z - X), with pull = zeta N on its N even steps.
"""

from torch import Tensor

from .interpolants import FLOW, VE, Interpolant
from .run import Denoise


def edited(
    denoise: Denoise,
    describe: Denoise,
    x0: Tensor,
    noise: Tensor,
    interpolant: Interpolant = VE,
    pull: float = 0.0,
) -> Denoise:
    """denoise(x, sigma) -> X, for `sample(..., noise, sigmas, interpolant, x0=x0)` with the same x0 and noise.

    denoise: guided by the prompts of the result; describe: under the prompt of the source; both (x, sigma) -> x0 and
    called once each. x0, noise: one shape, (B, C, T, H, W) or (B, C, H, W), on the state's device. pull: FlowAlign's
    regularisation, 0 or more; 0 is FlowEdit, and published are zeta .01 at 33 steps, so .33. `sample` returns the
    edit with the last sigma's share of the noise on it, ve_sigma(sigmas[-1]) noise.
    """

    def towards_edit(x: Tensor, sigma: float) -> Tensor:
        z = x0.to(x)
        source = describe(interpolant.add_noise(z, noise.to(x), sigma), sigma)
        edit = z + denoise(x, sigma) - source
        if pull == 0:
            return edit
        share = sigma if interpolant.linear_signal else FLOW.from_ve_sigma(sigma)
        return edit + pull * share * (z - edit)

    return towards_edit
