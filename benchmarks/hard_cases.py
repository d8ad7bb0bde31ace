"""Hard cases drawn from noise: does what a network makes of an orbit keep its geometry, and of layers, apart?

A held-out studio clip gives maps and words, in the photoreal style; the picture begins as noise. What the network does
not know of such clips, it gets wrong here: 3-D by the scene's own depth and cameras, layers by their true alpha.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.embedded import mean
from benchmarks.guided import exact_maps
from pipeline_core.conditions.cameras import read_cameras
from pipeline_core.conditions.stack import normalise_weights
from pipeline_core.diffusion import VE, guided, karras_sigmas, sample
from pipeline_core.diffusion.guidance import Guidance
from pipeline_core.metrics.layers import Layers
from pipeline_core.metrics.reprojection import Reprojection
from pipeline_core.models.networks.video_model import VideoModel
from pipeline_core.world import Render
from pipeline_core.world.studio.captions import stage_captions
from pipeline_core.world.studio.render import Take, render_stage
from pipeline_core.world.studio.stage import make_stage

KINDS = "orbit", "layers"
SWEEP = 30.0  # degrees of an orbit: what is seen in one frame is seen again four later
FIGURES = "reprojection_error", "background_spread", "alpha_error"


@dataclass(frozen=True)
class Case:
    """A studio clip in the synthetic style, and its caption in the photoreal one."""

    take: Take
    caption: str


def render_cases(seeds: Sequence[int], frames: int, size: tuple[int, int], style: str = "synthetic") -> list[Case]:
    """One of every kind and seed, `frames` of it at size (height, width)."""
    cases = []
    for kind in KINDS:
        for seed in seeds:
            stage = make_stage(seed, kind, frames, sweep=SWEEP)
            cases.append(Case(render_stage(stage, None, size, style), stage_captions(stage, "photoreal")["fine"]))
    return cases


def draw(model: VideoModel, cases: Sequence[Case], guidance: Guidance) -> list[Tensor]:
    """Frames (T, H, W, 3) in [0, 1] of every case from the noise of seed 0, as one batch.

    guidance: of the branches positive and, with a reference LoRA, reference, which read the same words.
    """
    preset = model.preset
    hints = [{name: model.encode_hint(values) for name, values in _maps(case.take).items()} for case in cases]
    joined = {name: torch.cat([each[name] for each in hints]) for name in hints[0]}
    words = model.encode_text([f"{preset.prompt}, {case.caption}" for case in cases])
    weights = normalise_weights(preset.control_weights)
    predict = model.predictor({"positive": words, "reference": words}, joined, weights, VE)
    shape = model.encode(cases[0].take.rgb).shape
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0)).expand(len(cases), *shape[1:])
    sigmas = karras_sigmas(preset.steps, preset.sigma_min, preset.sigma_max, preset.rho, torch.float32)
    latents = sample(guided(predict, guidance), noise.contiguous(), sigmas, VE)
    return [model.decode(latent[None]) for latent in latents]


def _maps(take: Take) -> dict[str, Tensor]:
    nothing: list = []
    return exact_maps(Render(take.rgb, take.depth, take.classes, take.instances, take.flow, nothing, {}))


def figures(cases: Sequence[Case], outputs: Sequence[Tensor]) -> dict[str, float]:
    """FIGURES of the outputs, means over the cases that have them."""
    found: dict[str, list[float]] = {name: [] for name in FIGURES}
    for case, output in zip(cases, outputs, strict=True):
        take = case.take
        if take.alpha is None:
            metric = Reprojection(read_cameras({"cameras": take.camera.matrices()}, len(take.rgb)))
            metric.update(output, take.depth, take.classes)
        else:
            metric = Layers()
            metric.update(output, take.alpha)
        for name, figure in metric.compute().items():
            if name in found and figure.value is not None:
                found[name].append(figure.value)
    return {name: mean(values) for name, values in found.items()}
