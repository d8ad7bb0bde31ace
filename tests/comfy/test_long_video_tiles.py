"""Tiles of the Long Video Sampler in the server: what every tile sees, and what the core computes the same way.

The oracles: a tile as large as the frame changes nothing; two tiles that share nothing see maps whose means average to
the whole map's; the core's own tiles on the embedded model.
"""

import json

import pytest
import torch
from comfy_server import RunError
from embedded_scene import Scene, draw, values
from long_video_graphs import (
    FRAMES,
    IMAGES,
    LATENTS,
    SPANS,
    compared,
    euler_and_noise,
    long_sampler,
    resized,
)
from tiny_graphs import dual_prompt, text_of
from tiny_graphs import start as tiny

from pipeline_core.diffusion import VE
from pipeline_core.enhance import EnhanceSettings
from pipeline_core.job.latent import enhance_handed
from pipeline_core.longvideo.fused import fused_predict, join_latents
from pipeline_core.longvideo.tiles import tiled_predict
from pipeline_core.models import load_video_model
from pipeline_core.video.overlaps import window_weights
from pipeline_core.video.tiles import plan_tiles

HALVES = {"tile_width": 32, "tile_height": 64, "tile_overlap": 0}  # of frames of 64x64


def ramp(frames, height=64, width=64):
    """Pictures that grow lighter from left to right, and with their number."""
    across = torch.linspace(0, 0.5, width)[None, None, :, None]
    return (across + torch.arange(frames)[:, None, None, None] / 100).expand(frames, height, width, 3).contiguous()


class Holder(Scene):
    """A tiny graph whose tensors come from files."""

    def __init__(self, server, graph):
        self.server, self.add = server, graph.add


def test_a_tile_as_large_as_the_frame_changes_nothing(server):
    graph, model, (one, two, _), latent, sigmas = tiny("wan")
    latent = resized(graph, latent, LATENTS, 2)
    guider = dual_prompt(graph, model, one, two, cfg=2.0)
    noise, euler = euler_and_noise(graph)
    given = {"noise": noise, "sampler": euler}
    plain = long_sampler(graph, guider, latent, sigmas, "fused", **given)
    tiled = long_sampler(graph, guider, latent, sigmas, "fused", tile_width=64, tile_height=64, **given)
    error = compared(graph, tiled[0], plain[0])
    outputs = server.run(graph)
    assert float(text_of(outputs, error)) == 0.0 and "tiles" not in text_of(outputs, tiled)


@pytest.mark.parametrize("kind", ["vace", "branch", "VRTestLinearControl", "VRTestT2IAdapter"])
def test_every_tile_sees_its_own_part_of_the_map(server, kind):
    name = {"vace": "vace", "branch": "hints"}.get(kind, "control")
    cut = IMAGES if name == "control" else {}
    if kind == "branch":
        graph = Scene(server)
        graph.control("depth", map=ramp(FRAMES))
        model, (one, two) = graph.model, graph.prompts
        latent, sigmas = graph.tensor(draw(1, 1, 48, LATENTS, 8, 8))[1], graph.tensor(torch.tensor([5.0, 1.0]))[3]
    else:
        graph, model, (one, two, _), latent, sigmas = tiny("vace" if kind == "vace" else "sd15-eps")
        latent = resized(graph, latent, *((LATENTS, 2) if kind == "vace" else (4, 0)))
        sigmas = graph.add("SplitSigmas", sigmas=sigmas, step=1)[0]
        video = Holder(server, graph).tensor(ramp(FRAMES if kind == "vace" else 4))[0]
        if kind == "vace":
            vae = graph.add("VRTestTinyVAE", seed=1, kind="wan")
            shape = {"width": 64, "height": 64, "length": FRAMES, "batch_size": 1, "strength": 1.0}
            told = graph.add("WanVaceToVideo", positive=one, negative=two, vae=vae, control_video=video, **shape)
        else:
            percents = dict(strength=1.0, start_percent=0.0, end_percent=1.0)
            net = graph.add(kind)
            told = graph.add(
                "ControlNetApplyAdvanced", positive=one, negative=two, control_net=net, image=video, **percents
            )
        one, two = told[0], told[1]
    seen = graph.add("VRTestSeenFrames", model=model)
    guider = graph.add("CFGGuider", model=seen, positive=one, negative=two, cfg=2.0)
    noise, euler = euler_and_noise(graph)
    given = {"noise": noise, "sampler": euler, **cut}
    whole = long_sampler(graph, guider, latent, sigmas, "fused", **given)
    tiled = long_sampler(graph, guider, latent, sigmas, "fused", **given, **HALVES)
    read = graph.add("VRTestReadBatchSizes", log=seen[1], after=compared(graph, tiled[0], whole[0])[0])
    outputs = server.run(graph)
    calls = json.loads(text_of(outputs, read))
    at_once = {str(call["window"]): call for call in calls if call["shape"][-1] == 8}
    halves = [call for call in calls if call["shape"][-2:] == [8, 4]]
    assert len(halves) == 2 * len(at_once) == len(calls) - len(at_once)
    for left, right in zip(halves[::2], halves[1::2]):
        assert left["window"] == right["window"]
        left, right, both = (torch.tensor(call[name]) for call in (left, right, at_once[str(left["window"])]))
        torch.testing.assert_close((left + right) / 2, both, atol=2e-5, rtol=1e-4)
        assert (left - right).abs().min() > 1e-3
    assert "2 tiles of 32x64 a frame: cost 1.00 x" in text_of(outputs, tiled)


@pytest.mark.parametrize("handover", ["none", "fused"])
def test_inverted_tiles_are_what_the_core_computes(server, handover):
    """One graph node against the core's tiles in the same windows, with a control, under two prompts, CFG 2."""
    depth, x0 = ramp(FRAMES, 32, 48), 0.5 * draw(1, 1, 48, LATENTS, 4, 6)
    sigmas = torch.tensor([40.0, 10.0, 2.0, 0.4, 0.1])
    scene = Scene(server)
    scene.control("depth", map=depth)
    guider = scene.add("CFGGuider", model=scene.model, positive=scene.prompts[0], negative=scene.prompts[1], cfg=2.0)
    levels, latent = scene.tensor(sigmas)[3], scene.tensor(x0)[1]
    across = {"tile_width": 32, "tile_overlap": 16}
    long = long_sampler(scene, guider, latent, levels, handover, inversion=scene.prompts[1], **across)
    saved = scene.add("VRTestSaveTensor", value=long[0])
    outputs = server.run(scene)
    found = values(outputs, saved)

    core = load_video_model(precision="fp32")
    texts = core.encode_text(["a photorealistic dashcam video", "flat shading"])
    texts = {"positive": texts[:1], "negative": texts[1:], "inversion": texts[1:]}
    hint, tiles = core.encode_hint(depth), plan_tiles((4, 6), (4, 4), 2)
    assert [(span.start, span.stop) for span in tiles.columns] == [(0, 4), (2, 6)]

    def predict_of(span):
        own = hint[:, :, span.start : span.stop]
        parts = [core.predictor(texts, {"depth": tile.cut(own)}, {"depth": 1.0}, VE) for tile in tiles]
        return tiled_predict(parts, tiles)

    settings, levels = EnhanceSettings(start="inversion", cfg=2.0), sigmas.double()
    if handover == "fused":
        predict = fused_predict([predict_of(span) for span in SPANS], SPANS, 1)
        wanted = enhance_handed(predict, x0, levels, settings, VE, 0, lambda *_: None).latent
    else:
        parts = [
            enhance_handed(predict_of(s), x0[:, :, s.start : s.stop], levels, settings, VE, 0, lambda *_: None).latent
            for s in SPANS
        ]
        wanted = join_latents(parts, SPANS, window_weights(SPANS, 1))
    assert float((found - wanted).norm() / wanted.norm()) < 1e-4
    assert float((found - x0).norm() / x0.norm()) > 0.05  # the prompt did something
    assert "2 tiles of 32x32 a frame: cost 1.33 x" in text_of(outputs, long)


@pytest.mark.parametrize(
    "given, sentence",
    [
        ({"tile_width": 40}, "tile_width is 40 but must be a multiple of 16 pixels, or 0"),
        ({"tile_width": 32, "tile_overlap": 32}, "tile_overlap is 32 but must be below the tile_width of 32"),
        ({"tile_width": 32, "tile_overlap": 0, "area": True}, "has an area, which tiles do not follow"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(server, given, sentence):
    graph, model, (one, two, _), latent, sigmas = tiny("wan")
    given = dict(given)
    if given.pop("area", False):
        one = graph.add("ConditioningSetArea", conditioning=one, width=64, height=64, x=0, y=0, strength=1.0)[0]
    noise, euler = euler_and_noise(graph)
    guider = dual_prompt(graph, model, one, two)
    long = long_sampler(graph, guider, latent, sigmas, noise=noise, sampler=euler, **given)
    graph.add("VRTestStatistics", value=long[0])
    with pytest.raises(RunError, match=sentence) as refused:
        server.run(graph)
    assert "\n" not in refused.value.exception_message
