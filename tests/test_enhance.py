"""The job's own arithmetic: DDIM is one formula, so a model sampled in VE or in flow units gives one picture."""

from dataclasses import replace

import torch

from pipeline_core.enhance import enhance, working_size
from pipeline_core.models.loading import load_video_model
from pipeline_core.settings import EnhanceSettings


def test_ve_and_flow_samplers_give_the_same_clip(model_folder):
    ve = load_video_model(model_folder, precision="fp32")
    flow = replace(ve, preset=replace(ve.preset, interpolant="flow"))
    frames = torch.rand(5, 32, 48, 3, generator=torch.Generator().manual_seed(0))
    settings = EnhanceSettings(start="sdedit", solver="ddim", strength=0.8, cfg=2.0, steps=6)
    one, two = (enhance(frames, model, settings)[0] for model in (ve, flow))
    assert float((one - two).abs().max()) < 1e-3 and float((one - frames).abs().mean()) > 0.01


def test_the_working_size_keeps_the_shape_and_the_area():
    assert working_size((96, 160), (96, 160), 16) == (96, 160)
    height, width = working_size((720, 1280), (96, 160), 16)
    assert height % 16 == width % 16 == 0 and abs(width / height / (16 / 9) - 1) < 0.07
    assert 0.8 * 96 * 160 <= height * width <= 1.2 * 96 * 160
