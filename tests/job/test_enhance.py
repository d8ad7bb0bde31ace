"""The job's own arithmetic: DDIM is one formula, so a model sampled in VE or in flow units gives one picture;
ready-made control maps do what the same buffers do."""

from dataclasses import replace

import pytest
import torch
from rounding import roundings

from pipeline_core.conditions.estimated import Estimators
from pipeline_core.conditions.maps import clip_disparity_limits, window_maps
from pipeline_core.enhance import enhance
from pipeline_core.errors import UserError
from pipeline_core.job.plan import prepare
from pipeline_core.job.run import run
from pipeline_core.job.settings import EnhanceSettings
from pipeline_core.models.folders.loading import load_video_model
from pipeline_core.video.frames import working_size
from pipeline_core.world import RenderedBuffers, make_scene, render


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


@pytest.fixture(scope="module")
def model(model_folder):
    return load_video_model(model_folder, precision="fp32")


CONTROLS = ("edge", "depth", "segmentation")


def clip_maps(clip):
    buffers = RenderedBuffers(clip)
    return window_maps(CONTROLS, clip.rgb, 0, buffers, Estimators(), clip_disparity_limits(buffers))


@pytest.mark.parametrize("frames", [4, 12])  # one padded window, three windows
def test_ready_made_maps_give_what_the_buffers_give(model, frames):
    clip, settings = render(make_scene(3), frames, (32, 48)), EnhanceSettings(start="sdedit", strength=0.9, steps=3)
    from_buffers, report = enhance(clip.rgb, model, settings, RenderedBuffers(clip))
    told = clip.scene["description"]
    from_maps, same = enhance(clip.rgb, model, settings, maps=clip_maps(clip), description=told)
    assert len(report.windows) == (1 if frames == 4 else 3)
    # The maps of the whole clip and of its windows come from batches of other shapes.
    assert roundings(from_maps, from_buffers) < 256 and same.to_dict() == report.to_dict()
    painted = {name: values if values.dim() == 4 else values[..., None].repeat(1, 1, 1, 3)
               for name, values in clip_maps(clip).items()}  # fmt: skip
    # The same values laid out otherwise in memory.
    assert roundings(enhance(clip.rgb, model, settings, maps=painted, description=told)[0], from_maps) < 256
    for name in CONTROLS:
        other = {**clip_maps(clip), name: torch.zeros(frames, 32, 48)}
        assert not torch.equal(enhance(clip.rgb, model, settings, maps=other, description=told)[0], from_buffers), name


def test_without_maps_edges_are_made_and_the_rest_is_said_to_be_missing(model, without_own_networks):
    clip, settings = render(make_scene(3), 5, (32, 48)), EnhanceSettings(start="sdedit", strength=0.9, steps=3)
    plain, report = enhance(clip.rgb, model, settings)
    assert any("No depth and no segmentation control" in note for note in report.notes)
    edges = {"edge": window_maps(["edge"], clip.rgb, 0, None, Estimators(), None)["edge"]}
    assert torch.equal(enhance(clip.rgb, model, settings, maps=edges)[0], plain)
    off = replace(settings, controls={"edge": 1.0})
    notes = enhance(clip.rgb, model, off, maps={"depth": torch.zeros(5, 32, 48)})[1].notes
    assert notes == ["The depth map had no effect: its weight is 0 or the model lacks it."]


@pytest.mark.parametrize("handover", ["none", "fused"])
def test_a_clip_shorter_than_it_states_comes_out_whole_and_the_report_says_so_once(model, handover):
    clip = torch.rand(8, 32, 48, 3, generator=torch.Generator().manual_seed(0))
    settings = EnhanceSettings(start="sdedit", strength=0.9, steps=3, handover=handover)
    job = prepare(9, (32, 48), model, settings)
    assert len(list(run(job, iter(clip)))) == 9
    assert sum("ended after 8 of 9 planned frames" in note for note in job.report.notes) == 1


def test_maps_are_resized_with_the_frames(model):
    clip, settings = render(make_scene(3), 5, (64, 96)), EnhanceSettings(start="sdedit", strength=0.9, steps=3)
    result, report = enhance(clip.rgb, model, settings, maps=clip_maps(clip))
    assert result.shape == clip.rgb.shape and any("resized to 48x32" in note for note in report.notes)
    assert not torch.equal(result, enhance(clip.rgb, model, settings)[0])


@pytest.mark.parametrize(
    "name, values",
    [
        ("depth", torch.zeros(4, 32, 48)),
        ("edge", torch.zeros(5, 32, 40, 3)),
        ("segmentation", torch.full((5, 32, 48, 3), 2.0)),
        ("depth", torch.full((5, 32, 48), torch.nan)),
        ("edge", torch.zeros(5, 32, 48, 4)),
        ("edge", torch.zeros(5, 32, 48, dtype=torch.uint8)),
    ],
)
def test_maps_that_do_not_fit_are_refused_by_name(model, name, values):
    with pytest.raises(UserError, match=f"The {name} map"):
        enhance(torch.rand(5, 32, 48, 3), model, maps={name: values})


@pytest.fixture(scope="module")
def short(model):
    frames = torch.rand(5, 32, 48, 3, generator=torch.Generator().manual_seed(1))
    base = EnhanceSettings(steps=6, prompt="day", inversion_prompt="a render", negative_prompt="night", detail=0.0)
    return lambda **changes: enhance(frames, model, replace(base, **changes))[0]


def test_no_reach_is_no_guidance_and_an_endless_one_is_plain_cfg(short):
    plain, guided = short(cfg=1.0), short(cfg=6.0)
    assert float((plain - guided).abs().max()) > 1e-3
    torch.testing.assert_close(short(cfg=6.0, guidance_reach=0.0), plain, rtol=0, atol=1e-5)
    held = short(cfg=6.0, guidance_reach=0.2)
    assert 1e-5 < float((held - plain).norm()) < float((guided - plain).norm())


def test_all_fresh_noise_in_an_inversion_is_sdedit(short):
    """Euler retraces with DDIM, so nothing of the inversion is left but its solver."""
    blended = short(method="euler", strength=0.8, noise_blend=1.0)
    torch.testing.assert_close(blended, short(start="sdedit", solver="ddim", strength=0.8), rtol=0, atol=1e-5)
    kept, half = short(method="euler", strength=0.8), short(method="euler", strength=0.8, noise_blend=0.3)
    assert 1e-4 < float((half - kept).norm()) < float((blended - kept).norm())


@pytest.mark.parametrize("start", ["flowedit", "flowalign"])
def test_editing_without_inversion_changes_what_the_prompts_differ_in(short, model, start):
    """With the source's own prompt the source comes back, whatever the strength and the seed."""
    frames = torch.rand(5, 32, 48, 3, generator=torch.Generator().manual_seed(1))
    source = model.decode(model.encode(frames))
    same = short(start=start, prompt="a render", seed=3)
    torch.testing.assert_close(same, source.clamp(0, 1), rtol=0, atol=1e-3)
    assert float((short(start=start, cfg=3.0) - same).abs().max()) > 0.01


def test_flowalign_reads_no_negative_prompt_and_pulls_back(short):
    guided = short(start="flowalign", cfg=4.0)
    torch.testing.assert_close(guided, short(start="flowalign", cfg=4.0, negative_prompt="rain"), rtol=0, atol=0)
    # Without the pull it is FlowEdit with the source's prompt as the negative.
    free, source = (
        short(start="flowedit", cfg=4.0, negative_prompt="a render"),
        short(start="flowedit", prompt="a render"),
    )
    assert 1e-4 < float((guided - source).norm()) < float((free - source).norm())


def test_calibration_can_judge_by_the_sources_own_prompt(short):
    told = {"start": "calibration", "strength": 0.7}
    published, free = short(**told), short(**told, calibration_prompt="inversion")
    assert float((published - free).abs().max()) > 1e-5
    same = {**told, "inversion_prompt": "day"}
    torch.testing.assert_close(short(**same, calibration_prompt="inversion"), short(**same), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "name, value", [("guidance_reach", -1.0), ("noise_blend", 1.5), ("calibration_prompt", "negative")]
)
def test_a_setting_out_of_range_is_named(short, name, value):
    with pytest.raises(UserError, match=f"change {name}"):
        short(**{name: value})
