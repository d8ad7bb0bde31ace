"""The analytic denoiser: a mixture of Gaussians with D(x, sigma) in closed form, so an error is the solver's own."""

import math

import torch

from pipeline_core.diffusion import VE


class Mixture:
    """64-dimensional mixture of 12 Gaussians, latents (B, 4, 4, 4), in float64 or the dtype of x."""

    shape = (4, 4, 4)

    def __init__(self, seed=0, modes=12, spread=1.0, std=0.35):
        g = torch.Generator().manual_seed(seed)
        self.means = spread * torch.randn(modes, 64, generator=g, dtype=torch.float64)
        self.variance = std**2

    def draw(self, count, seed=1):
        g = torch.Generator().manual_seed(seed)
        which = torch.randint(len(self.means) // 3, (count,), generator=g)  # modes of the condition
        x = self.means[which] + math.sqrt(self.variance) * torch.randn(count, 64, generator=g, dtype=torch.float64)
        return x.reshape(count, *self.shape)

    def posterior_mean(self, x, sigma, means):
        means = means.to(x)
        flat = x.flatten(1)
        total = self.variance + sigma**2
        weights = torch.softmax(
            -(torch.cdist(flat, means, compute_mode="donot_use_mm_for_euclid_dist") ** 2) / (2 * total), 1
        )
        mean = weights @ means
        return (mean + self.variance / total * (flat - mean)).reshape(x.shape)

    def denoiser(self, interpolant=VE, cfg=1.0):
        """Condition: the first third of the modes; unconditional: all of them."""

        def denoise(x, sigma):
            y, s = interpolant.to_ve(x, sigma), interpolant.ve_sigma(sigma)
            cond = self.posterior_mean(y, s, self.means[: len(self.means) // 3])
            if cfg == 1.0:
                return cond
            return cond + (cfg - 1) * (cond - self.posterior_mean(y, s, self.means))

        return denoise
