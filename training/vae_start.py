"""Start of the VAE: a two-level principal component transform in the convolutions of AutoencoderKLLTXVideo.

Random weights need many minutes to reach what principal components give at once. Residual branches start at
zero, the convolutions carry the transform, and the channels left over start random, free to learn what is not
linear. RMS normalisation would lose the signal's amplitude, so some channels before each final norm are a
large constant, and the last layer joins silu(x) - silu(-x) = x to stay linear.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange

PATCH = 2
PIXELS = 3 * PATCH**2
COEFFICIENTS = 48
ENCODER_CONSTANT = 60.0
DECODER_CONSTANT = 12.0
# Taps (t, h, w) of a 3x3x3 causal kernel: the present position, and the 2x2x2 block a strided layer reduces.
HERE = ((2, 1, 1),)
BLOCK = tuple((1 + t, 1 + h, 1 + w) for t in (0, 1) for h in (0, 1) for w in (0, 1))


def build(latent_channels: int = 48) -> torch.nn.Module:
    """Causal 4x8x8 AutoencoderKLLTXVideo of 3.5 M parameters at 48 channels: patches of 2x2, three scales."""
    from diffusers import AutoencoderKLLTXVideo

    return AutoencoderKLLTXVideo(
        latent_channels=latent_channels,
        block_out_channels=(64, 64),
        down_block_types=("LTXVideoDownBlock3D",) * 2,
        layers_per_block=(0, 1, 1),
        spatio_temporal_scaling=(True, True),
        downsample_type=("conv",) * 2,
        # Halved by the factors: 112 channels at the latents, then 56, then 28 at two pixels.
        decoder_block_out_channels=(56, 112),
        upsample_factor=(2, 2),
        upsample_residual=(False, False),
        decoder_layers_per_block=(1, 1, 1),
        decoder_spatio_temporal_scaling=(True, True),
        decoder_inject_noise=(False,) * 3,
        patch_size=PATCH,
        encoder_causal=True,
        decoder_causal=True,
    )


def patches(video: torch.Tensor) -> torch.Tensor:
    """(N, 3, T, H, W) -> (N, 12, T, H/2, W/2) in the class's own order: colour, column, row."""
    return rearrange(video, "n c t (h row) (w column) -> n (c column row) t h w", row=PATCH, column=PATCH)


def blocks(x: torch.Tensor) -> torch.Tensor:
    """(N, C, 1 + 2k, H, W) -> (N, 1 + k, H/2, W/2, 8 C): 2x2x2 blocks, the first frame doubled."""
    x = torch.cat([x[:, :, :1], x], 2)
    return rearrange(x, "n c (t dt) (h dh) (w dw) -> n t h w (dt dh dw c)", dt=2, dh=2, dw=2)


def principal(rows: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean (D,), the `count` strongest principal directions (D, count) and their variances (count,)."""
    mean = rows.mean(0)
    variances, directions = torch.linalg.eigh(((rows - mean).T @ (rows - mean) / len(rows)).double())
    return mean, directions.flip(1)[:, :count].float(), variances.flip(0)[:count].float()


@torch.no_grad()
def start_from_principal_components(vae: torch.nn.Module, videos: torch.Tensor) -> None:
    """Write the transform fitted on `videos` (N, 3, 1 + 4k, H, W) in [-1, 1] into `vae`, in place.

    Latents start half-whitened: a component of variance e gets the variance sqrt(e) / mean of all sqrt(e).
    """
    count, size = vae.config.latent_channels, COEFFICIENTS
    encoder, decoder = vae.encoder, vae.decoder
    first = blocks(patches(videos))
    mean1, basis1, _ = principal(first.flatten(0, -2), size)
    second = blocks(((first - mean1) @ basis1).movedim(-1, 1))
    mean2, basis2, variances = principal(second.flatten(0, -2), count)
    scale = variances.sqrt().sqrt() * variances.sqrt().mean().sqrt()
    latents = ((second - mean2) @ basis2 / scale).flatten(0, -2)

    for module in vae.modules():
        if hasattr(module, "conv2"):
            module.conv2.conv.weight.zero_()
            module.conv2.conv.bias.zero_()

    _write(encoder.conv_in, slice(0, PIXELS), HERE, torch.eye(PIXELS)[:, None])
    down1, down2 = (block.downsamplers[0] for block in encoder.down_blocks)
    _write(down1, slice(0, size), BLOCK, basis1.T.reshape(size, 8, PIXELS), -(mean1 @ basis1))
    weight2 = (basis2 / scale).T.reshape(count, 8, size)
    _write(down2, slice(0, count), BLOCK, weight2, -(mean2 @ basis2) / scale)
    _write(down2, slice(-1, None), HERE, torch.zeros(1, 1, size), ENCODER_CONSTANT)
    for resnet in encoder.mid_block.resnets:
        resnet.conv1.conv.weight[:, -1] = 0
    weight, bias = _fit_last_layer(encoder, videos, latents)
    _write(encoder.conv_out, slice(0, count), HERE, weight[:, None], bias)
    # The class carries one shared log variance; the latents are used without sampling.
    _write(encoder.conv_out, slice(count, None), HERE, torch.zeros(1, 1, weight.shape[1]), -8.0)

    _write(decoder.conv_in, slice(0, count), HERE, torch.eye(count)[:, None])
    up1, up2 = (block.upsamplers[0].conv for block in decoder.up_blocks)
    _write_upsampler(up1, (basis2 * scale).reshape(8, size, count), mean2.reshape(8, size))
    pixels, offset = basis1.reshape(8, PIXELS, size), mean1.reshape(8, PIXELS)
    _write_upsampler(up2, torch.cat([pixels, -pixels], 1), torch.cat([offset, -offset], 1))
    width = up2.conv.out_channels // 8
    spare = width - 2 * PIXELS
    _write(up2, slice(8 * 2 * PIXELS, None), HERE, torch.zeros(8 * spare, 1, size), DECODER_CONSTANT)
    gain = (spare * DECODER_CONSTANT**2 / width) ** 0.5 * torch.eye(PIXELS)
    _write(decoder.conv_out, slice(0, PIXELS), HERE, torch.cat([gain, -gain], 1)[:, None])


def _write(
    layer: torch.nn.Module,
    rows: slice,
    taps: Sequence[tuple[int, int, int]],
    weight: torch.Tensor,
    bias: torch.Tensor | float = 0.0,
) -> None:
    """Set output channels `rows` to weight (rows, taps, inputs) at `taps` and zero elsewhere."""
    layer.conv.weight[rows] = 0
    for i, (t, h, w) in enumerate(taps):
        layer.conv.weight[rows, : weight.shape[2], t, h, w] = weight[:, i]
    layer.conv.bias[rows] = bias


def _write_upsampler(layer: torch.nn.Module, weight: torch.Tensor, bias: torch.Tensor) -> None:
    """weight (8 sub-positions, n, inputs), bias (8, n) -> the first n channels after the shuffle to 2x2x2."""
    _, n, inputs = weight.shape
    _write(layer, slice(0, 8 * n), HERE, weight.transpose(0, 1).reshape(8 * n, 1, inputs), bias.T.reshape(-1))


def _fit_last_layer(
    encoder: torch.nn.Module, videos: torch.Tensor, latents: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Least squares from the features in front of encoder.conv_out to latents: weight (L, C), bias (L,)."""
    collected: list[torch.Tensor] = []
    hook = encoder.conv_out.register_forward_pre_hook(
        lambda module, inputs: collected.append(inputs[0].movedim(1, -1).flatten(0, -2))
    )
    for video in videos:
        encoder(video[None])
    hook.remove()
    features = torch.cat(collected).double()
    # The constant carries no information and would only trade digits with the bias.
    features[:, -1] = 0
    mean, target = features.mean(0), latents.double().mean(0)
    gram = (features - mean).T @ (features - mean)
    gram += 1e-7 * gram.diagonal().mean() * torch.eye(len(gram))
    solution = torch.linalg.solve(gram, (features - mean).T @ (latents - target))
    return solution.T.float(), (target - mean @ solution).float()
