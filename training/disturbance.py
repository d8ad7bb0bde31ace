"""What cameras, codecs and renderers do to a frame: networks that judge frames learn to look past it."""

import torch
import torch.nn.functional as F


def disturb(frames: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Random gain, gamma, cast, saturation, blur and noise per frame; frames (N, 3, H, W) in [0, 1], so the answer."""
    n = len(frames)

    def between(low: float, high: float, channels: int = 1) -> torch.Tensor:
        return low + (high - low) * torch.rand(n, channels, 1, 1, generator=generator)

    grey = frames.mean(1, keepdim=True)
    x = (grey + (frames - grey) * between(0.4, 1.3)).clamp(0, 1) ** between(0.7, 1.4)
    x = x * between(0.7, 1.3) * between(0.85, 1.15, 3) + between(-0.08, 0.08)
    width = between(0.0, 0.9) * (between(0, 1) < 0.6)
    offsets = torch.arange(-2, 3.0)
    kernel = torch.exp(-(offsets**2) / (2 * width.view(n, 1) ** 2 + 1e-6))
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(3, 0)
    flat = F.pad(x.reshape(1, 3 * n, *x.shape[2:]), (2, 2, 2, 2), mode="replicate")
    flat = F.conv2d(flat, kernel[:, None, None], groups=3 * n)
    x = F.conv2d(flat, kernel[:, None, :, None], groups=3 * n).view_as(x)
    x = x + between(0.0, 0.025) * torch.randn(x.shape, generator=generator)
    return x.clamp(0, 1)
