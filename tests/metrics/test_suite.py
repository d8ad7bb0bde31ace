"""Oracles: the single metrics on the same frames of the world, one car taken out, one seam put in, stub models."""

import json
import math

import pytest
import torch

from pipeline_core.conditions.buffers import BuffersWriter, open_buffers
from pipeline_core.conditions.estimated import Estimators
from pipeline_core.errors import UserError
from pipeline_core.metrics.blur import BlurSSIM
from pipeline_core.metrics.compare import compare, compare_frames
from pipeline_core.metrics.extras import Extras
from pipeline_core.metrics.features import FrameConsistency, ObjectAlignment
from pipeline_core.metrics.frequency import SpatialFrequency
from pipeline_core.metrics.seams import Drift, SeamError
from pipeline_core.metrics.statistics import ColourAndGradient
from pipeline_core.metrics.temporal import FlowError
from pipeline_core.perception.text_image import TextImage
from pipeline_core.video.media import write_clip
from pipeline_core.world import RenderedBuffers, make_scene, render_styles

T = 18  # more frames than a chunk


@pytest.fixture(scope="module")
def drive():
    return render_styles(make_scene(1), T, (32, 48), ("synthetic", "photoreal"))


def values(report, section):
    return {name: figure["value"] for name, figure in report["figures"][section].items()}


def test_every_figure_is_the_single_metric_s(drive):
    source, twin = drive["synthetic"], drive["photoreal"].rgb
    output = (0.9 * twin + 0.02).clamp(0, 1)
    report = compare_frames(source.rgb, output, twin, None, buffers=RenderedBuffers(source), extras=Extras(seams=(9,)))
    for section, metric, other in (
        ("to the source", Drift(), source.rgb), ("to the source", SpatialFrequency(), source.rgb),
        ("to the reference", SpatialFrequency(), twin),
    ):  # fmt: skip
        metric.update(output, other)
        for name, figure in metric.compute().items():
            assert values(report, section)[name] == pytest.approx(figure.value, rel=1e-9)
    colours, seams = ColourAndGradient(), SeamError([9])
    colours.update(output)
    colours.update_reference(twin)
    seams.update(output, source.flow, source.instances)
    for section, metric in (("to the reference", colours), ("time", seams)):
        for name, figure in metric.compute().items():
            assert values(report, section)[name] == pytest.approx(figure.value, rel=1e-9)
    json.dumps(report, allow_nan=False)


def test_frames_hold_the_values_the_figures_are_means_of(drive):
    source = drive["synthetic"]
    grain = torch.rand(source.rgb.shape, generator=torch.Generator().manual_seed(0))
    output = (0.9 * source.rgb + 0.02 * grain).clamp(0, 1)
    report = compare_frames(source.rgb, output, source.rgb, buffers=RenderedBuffers(source))
    for section, name in (("to the source", "ssim"), ("to the reference", "mse_l"), ("to the reference", "tde")):
        series = report["frames"][section][name]
        known = [v for v in series if v is not None]
        assert len(series) == T and len(known) == T - (name == "tde")
        assert math.fsum(known) / len(known) == pytest.approx(report["figures"][section][name]["value"], rel=1e-6)
    for name in ("warped_error", "flicker", "mamse"):
        assert report["frames"]["time"][name][0] is None and len(report["frames"]["time"][name]) == T
    assert "realism" in report["frames"] and report["frames"]["realism"] == {}


def test_a_seam_and_only_a_seam_raises_the_seam_ratio(drive):
    source = drive["synthetic"]
    cut = torch.cat([source.rgb[:9], 0.6 * source.rgb[9:] + 0.4])
    scores = {}
    for name, clip in (("whole", source.rgb), ("cut", cut)):
        extras = Extras(seams=(9,))
        scores[name] = values(compare_frames(source.rgb, clip, buffers=RenderedBuffers(source), extras=extras), "time")
    assert scores["cut"]["mamse"] > 2 * scores["whole"]["mamse"]
    assert scores["cut"]["mamse_inside"] < 1.1 * scores["whole"]["mamse_inside"]


def test_detected_masks_tell_which_car_is_gone(drive, tmp_path):
    source = drive["synthetic"]
    names, counts = source.instances[source.classes == 14].unique(return_counts=True)
    gone = int(names[counts.argmax()])
    write_clip(tmp_path / "out.mp4", source.rgb, 10)
    with BuffersWriter(tmp_path / "made", tmp_path / "out.mp4") as out:
        keep = source.instances != gone
        out.append(classes=source.classes * keep, instances=source.instances * keep)
    extras = Extras(output_buffers=open_buffers(tmp_path / "made", tmp_path / "out.mp4"))
    report = compare_frames(source.rgb, source.rgb, buffers=RenderedBuffers(source), extras=extras)
    assert values(report, "objects")["objects_lost"] > 0 == values(report, "objects")["objects_invented"]
    assert {d["instance"] for d in report["lost"] if d["seen"].endswith("lost")} == {gone}
    without = compare_frames(source.rgb, source.rgb, buffers=RenderedBuffers(source))
    assert without["figures"]["objects"]["objects_lost"]["value"] is None
    assert "masks of the output" in without["figures"]["objects"]["objects_lost"]["note"]
    with pytest.raises(UserError, match="buffers of the output"):
        compare_frames(source.rgb[:9], source.rgb[:9], extras=extras)


def test_models_are_run_on_both_clips():
    source = render_styles(make_scene(1), 2, (32, 48))["synthetic"]
    estimators = Estimators(lambda f: 1 / (0.1 + f.mean(-1)), lambda f: (f.mean(-1) * 3).to(torch.uint8))
    extras = Extras(estimators=estimators, blur=True)
    report = compare_frames(source.rgb, source.rgb, buffers=RenderedBuffers(source), extras=extras)
    same = values(report, "to the source")
    assert same["depth_si_rmse"] == pytest.approx(0, abs=1e-6) and same["mask_miou"] == 1 and same["blur_ssim"] == 1
    assert 0 < same["mask_miou_to_buffers"] < 1
    darker = 0.5 * source.rgb
    other = values(compare_frames(source.rgb, darker, extras=extras), "to the source")
    blur = BlurSSIM()
    blur.update(darker, source.rgb)
    assert other["blur_ssim"] == pytest.approx(blur.compute()["blur_ssim"].value)
    assert other["depth_si_rmse"] > 1e-3 and other["mask_miou"] < 1 and other["mask_miou_to_buffers"] is None


def test_a_feature_network_is_asked_about_objects_and_frames(drive, tmp_path):
    source = drive["synthetic"]
    encode = lambda frames: frames.mean((1, 2))  # noqa: E731
    output = (0.5 * source.rgb + torch.tensor([0.4, 0.0, 0.0])).clamp(0, 1)
    arguments = {"buffers": RenderedBuffers(source), "extras": Extras(encoder=encode)}
    report = compare_frames(source.rgb, output, **arguments)
    aligned, consistent = ObjectAlignment(encode), FrameConsistency(encode)
    aligned.update(output, source.rgb, source.classes, source.instances)
    consistent.update(output)
    for section, metric in (("objects", aligned), ("time", consistent)):
        for name, figure in metric.compute().items():
            made = values(report, section)[name]
            assert made == (None if figure.value is None else pytest.approx(figure.value, rel=1e-5))
    assert values(report, "objects")["alignment"] < 0.999 and len(report["frames"]["objects"]["alignment"]) == T
    without = compare_frames(source.rgb, output, extras=Extras(encoder=encode))["figures"]
    assert "real frames" in without["realism"]["real_kid"]["note"]
    write_clip(tmp_path / "real.mp4", drive["photoreal"].rgb, 10)
    extras = Extras(encoder=encode, real=tmp_path / "real.mp4")
    near, far = (compare_frames(c, c, extras=extras)["figures"]["realism"] for c in (drive["photoreal"].rgb, output))
    assert near["real_frechet"]["value"] < 0.1 * far["real_frechet"]["value"]
    assert near["real_kid"]["value"] < 0.1 * far["real_kid"]["value"]
    assert without["objects"]["alignment"]["value"] is None and "buffers" in without["objects"]["alignment"]["note"]
    assert without["time"]["frame_consistency"]["value"] > 0.9


def test_an_estimated_flow_serves_where_there_is_none(drive):
    """An estimator that is right gives the buffers' own figures, in chunks and to the last frame."""
    source = drive["synthetic"]
    output = (0.9 * source.rgb + 0.02 * torch.rand(source.rgb.shape, generator=torch.Generator().manual_seed(0))).clamp(
        0, 1
    )
    asked = []

    def flow(frames):
        at = [int((source.rgb == frame).flatten(1).all(1).nonzero()[0]) for frame in frames]
        assert at == list(range(at[0], at[-1] + 1))
        asked.extend(at[:-1])
        return torch.cat([source.flow[at[:-1]], torch.zeros_like(source.flow[:1])])

    extras = Extras(("time",), estimators=Estimators(flow=flow), seams=(9,))
    true, estimated = FlowError(), compare_frames(source.rgb, output, extras=extras)
    true.update(output, source.flow)
    assert asked == list(range(T - 1))
    for name, figure in true.compute().items():
        assert values(estimated, "time")[name] == pytest.approx(figure.value, rel=1e-6)
        assert "estimated" in estimated["figures"]["time"][name]["note"]
        assert len(estimated["frames"]["time"][name]) == T
    assert values(estimated, "time")["seam_ratio"] is not None
    nothing = compare_frames(source.rgb, output, extras=Extras(("time",)))["figures"]["time"]["warped_error"]
    assert nothing["value"] is None and "estimator" in nothing["note"]
    one = compare_frames(source.rgb[:1], output[:1], extras=extras)["figures"]["time"]
    assert one["warped_error"]["value"] is None and "two frames" in one["warped_error"]["note"]


def test_groups_can_be_measured_alone(drive):
    clip = drive["synthetic"].rgb[:2]
    report = compare_frames(clip, clip, extras=Extras(("fidelity",)))
    assert set(report["figures"]) == {"to the source", "to the reference"}
    assert set(report["figures"]["to the source"]) == {
        "psnr", "ssim", "ms_ssim", "mse_l", "spatial_frequency", "d_sf", "lpips"
    }  # fmt: skip
    with pytest.raises(UserError, match="speed"):
        Extras(("fidelity", "speed"))


def test_what_needs_more_says_what(drive):
    clip = drive["synthetic"].rgb[:3]
    figures = compare_frames(clip, clip)["figures"]["to the source"]
    for name, word in (("lpips", "weights"), ("blur_ssim", "slow"), ("depth_si_rmse", "model"), ("mask_miou", "model"),
                       ("ms_ssim", "176")):  # fmt: skip
        assert figures[name]["value"] is None and word in figures[name]["note"], name


def test_one_frame_black_frames_and_a_nan_frame(drive, tmp_path):
    clip = drive["synthetic"].rgb
    with pytest.raises(UserError, match="pixels"):
        compare_frames(clip[:, :, :0], clip[:, :, :0])
    one = compare_frames(clip[:1], clip[:1], clip[:1])
    assert one["figures"]["to the reference"]["tde"]["value"] is None
    assert one["figures"]["to the source"]["drift_brightness"]["value"] is None
    black = compare_frames(clip, clip * 0, clip)["figures"]
    assert black["to the source"]["edge_precision"]["value"] is None and black["to the source"]["ssim"]["value"] < 0.5
    assert black["to the reference"]["hue_distance"]["value"] is None
    nan = clip.clone()
    nan[17, 3, 3, 1] = torch.nan
    with pytest.raises(UserError, match="Frame 17 of the output"):
        compare_frames(clip, nan)
    write_clip(tmp_path / "a.mp4", clip, 10)
    assert set(compare(tmp_path / "a.mp4", tmp_path / "a.mp4")["frames"]) == set(compare_frames(clip, clip)["frames"])


def test_chunks_of_any_size_give_every_figure(drive, monkeypatch):
    """Streaming equals one-shot for all that is measured, with every kind of model there is (as stubs)."""
    source, twin = drive["synthetic"], drive["photoreal"].rgb
    output = (0.9 * twin + 0.05 * source.rgb).clamp(0, 1)

    def encode(frames):
        return torch.cat([frames.mean((1, 2)), frames.amax((1, 2))], 1)

    network = TextImage(encode, lambda prompts: torch.eye(6)[: len(prompts)] + 0.1, 5.0, "stub")
    estimators = Estimators(lambda f: 1 / (0.1 + f.mean(-1)), lambda f: (f.mean(-1) < 0.5).to(torch.uint8) * 14)
    extras = Extras(
        estimators=estimators, encoder=encode, seams=(9,), real=twin[:7], text_image=network, pick=network,
        prompt="a street", video_encoder=(lambda w: w.mean((1, 2, 3)), 4, (8, 8)), quality={"dover": torch.mean},
        judge=lambda a, b: float(a.mean() > b.mean()),
    )  # fmt: skip
    reports = []
    for frames in (100, 5, 1):
        monkeypatch.setattr("pipeline_core.metrics.compare._CHUNK", frames)
        reports.append(compare_frames(source.rgb, output, twin, None, buffers=RenderedBuffers(source), extras=extras))
    whole, *pieces = reports
    undefined = {f"{s}: {n}" for s, held in whole["figures"].items() for n, f in held.items() if f["value"] is None}
    for other in pieces:
        assert other["lost"] == whole["lost"]
        for section, figures in whole["figures"].items():
            for name, figure in figures.items():
                value = other["figures"][section][name]["value"]
                if figure["value"] is None:
                    assert value is None
                else:
                    # Edges are decided by thresholds: rounding, which is another in each shape, tips single pixels.
                    near = {"abs": 5e-3} if name.startswith("edge") else {"rel": 1e-5, "abs": 1e-9}
                    assert value == pytest.approx(figure["value"], **near), (section, name)
    assert len(undefined) < 22, undefined  # small frames, no LPIPS, blur, people, legible signs or output masks
