"""Hard cases to draw from noise: does what a network makes of an orbit keep its geometry, and of layers, apart?

A held-out studio clip gives maps and words, in the photoreal style; the picture begins as noise. What the network does
not know of such clips, it gets wrong here: 3-D by the scene's own depth and cameras, layers by their true alpha.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmarks.embedded import mean
from benchmarks.guided import Bench, Clip, exact_maps
from pipeline_core.conditions.cameras import read_cameras
from pipeline_core.metrics.critic import load_critic
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


def render_cases(seeds: Sequence[int], frames: int, size: tuple[int, int]) -> list[tuple[Take, str]]:
    """One of every kind and seed in the synthetic style, `frames` of it at size (height, width), and its caption in the
    photoreal one."""
    stages = [make_stage(seed, kind, frames, sweep=SWEEP) for kind in KINDS for seed in seeds]
    return [(render_stage(stage, None, size), stage_captions(stage, "photoreal")["fine"]) for stage in stages]


def bench_of(model: VideoModel, cases: Sequence[tuple[Take, str]]) -> Bench:
    """The cases as a bench, without twins."""
    clips = []
    for take, caption in cases:
        about = {"description": caption}
        source = Render(take.rgb, take.depth, take.classes, take.instances, take.flow, [], about, take.camera)
        clips.append(Clip(None, source, {}, {}))
    hints = [{name: model.encode_hint(v) for name, v in exact_maps(clip.source).items()} for clip in clips]
    latents = torch.cat([model.encode(clip.source.rgb) for clip in clips])
    return Bench(model, load_critic(), clips, latents, {name: torch.cat([h[name] for h in hints]) for name in hints[0]})


def figures(takes: Sequence[Take], outputs: Sequence[Tensor]) -> dict[str, float]:
    """FIGURES of the outputs, frames (T, H, W, 3) in [0, 1] of every take; means over those that have them."""
    found: dict[str, list[float]] = {name: [] for name in FIGURES}
    for take, output in zip(takes, outputs, strict=True):
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
