"""Graphs of Long Video Sampler and Windowed Model on tiny models: three windows, or an image model's frames."""

import torch
from embedded_scene import Scene

# Three windows of 5 latent frames over 10, which share 3 and 2; an image model's have 4 of 9 and share 2 and 1.
WINDOWS = {"window": 17, "overlap": 5, "temporal_ratio": 4}
SPANS = [range(0, 5), range(2, 7), range(5, 10)]
FRAMES, LATENTS = 37, 10
IMAGES = {"window": 4, "overlap": 1}


def long_sampler(graph, guider, latent, sigmas, handover="none", method="exact", **given):
    settings = {**WINDOWS, "handover": handover, "method": method, **given}
    return graph.add("VideoRealismLongVideoSampler", guider=guider, latent=latent, sigmas=sigmas, **settings)


def windowed(graph, model, handover="fused", **given):
    return graph.add("VideoRealismWindowedModel", model=model, handover=handover, **{**WINDOWS, **given})


def resized(graph, latent, frames, dim):
    """The tiny graph's random latent, as long as these tests need it."""
    inputs = graph[str(latent)]["inputs"]
    inputs["batch" if dim == 0 else "frames"] = frames
    return latent


def euler_and_noise(graph, seed=5):
    return graph.add("RandomNoise", noise_seed=seed), graph.add("KSamplerSelect", sampler_name="euler")


def compared(graph, latent, reference):
    return graph.add("VRTestCompareLatents", latent=latent, reference=reference)


class _Holder:
    def __init__(self, server, graph):
        self.server, self.add = server, graph.add


def numbered(server, graph, frames, size=64):
    """Pictures whose grey is their number / 100."""
    return Scene.tensor(
        _Holder(server, graph), torch.arange(frames)[:, None, None, None].expand(-1, size, size, 3) / 100
    )
