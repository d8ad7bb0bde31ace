"""Fit rgb = A^T z + b by least squares, z one latent cell: what ComfyUI shows while it samples (latent_rgb.json)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from pipeline_core.models.networks.vae import encode_clips
from pipeline_core.world import make_scene, render_styles

from .latents import load_vae

FRAMES, SIZE = 17, (96, 160)
STYLES = ("synthetic", "photoreal.day", "photoreal.night")
SCENES, HELD_OUT = range(6), range(850_000, 850_002)


def cell_pairs(vae: torch.nn.Module, seeds: range) -> tuple[Tensor, Tensor]:
    """Latent cells (N, C) of rendered scenes and the mean colour of each cell's pixels (N, 3) in [-1, 1].

    The first latent frame holds one pixel frame, every later one the next `ratio`.
    """
    cells, colours = [], []
    for seed in seeds:
        renders = render_styles(make_scene(seed), range(FRAMES), SIZE, STYLES)
        for style in STYLES:
            latent = encode_clips(vae, renders[style].rgb[None])[0]
            _, count, height, width = latent.shape
            ratio = (FRAMES - 1) // (count - 1)
            pixels = F.interpolate(renders[style].rgb.permute(0, 3, 1, 2) * 2 - 1, (height, width), mode="area")
            later = pixels[1:].unflatten(0, (count - 1, ratio)).mean(1)
            cells.append(rearrange(latent, "c t h w -> (t h w) c"))
            colours.append(rearrange(torch.cat([pixels[:1], later]), "t c h w -> (t h w) c"))
    return torch.cat(cells), torch.cat(colours)


def fit(cells: Tensor, colours: Tensor) -> tuple[Tensor, Tensor]:
    """(A (C, 3), b (3,)) that minimise |cells A + b - colours|^2."""
    ones = torch.cat([cells, torch.ones(len(cells), 1)], 1).double()
    solution = torch.linalg.lstsq(ones, colours.double()).solution.float()
    return solution[:-1], solution[-1]


def explained(cells: Tensor, colours: Tensor, factors: Tensor, bias: Tensor) -> float:
    """Share of the colours' variance the fit explains: 1 is perfect, 0 is the mean colour everywhere."""
    left = (cells @ factors + bias - colours).square().sum()
    return 1 - float(left / (colours - colours.mean(0)).square().sum())


def write_preview(model: Path) -> float:
    """Fit and write latent_rgb.json of a model folder; the variance explained on held-out scenes."""
    vae = load_vae(model / "vae")
    factors, bias = fit(*cell_pairs(vae, SCENES))
    values = {"factors": [[round(v, 5) for v in row] for row in factors.tolist()], "bias": bias.tolist()}
    (model / "latent_rgb.json").write_text(json.dumps(values) + "\n", encoding="utf-8")
    return explained(*cell_pairs(vae, HELD_OUT), factors, bias)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("models/embedded"))
    print(f"explained variance on held-out scenes: {write_preview(parser.parse_args().model):.4f}")


if __name__ == "__main__":
    main()
