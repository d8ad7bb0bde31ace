"""A job that is stopped anywhere and started again: the same file frame for frame, and nothing computed twice."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline_core.errors import UserError
from pipeline_core.job.plan import prepare
from pipeline_core.job.run import run
from pipeline_core.job.settings import EnhanceSettings
from pipeline_core.longvideo import ChunkFolder
from pipeline_core.models.folders.loading import load_video_model
from pipeline_core.video import media
from pipeline_core.world import RenderedBuffers, make_scene, render

SETTINGS = EnhanceSettings(start="noise", strength=0.9, cfg=2.0, steps=3, handover="motion")
FRAMES = 22


@pytest.fixture(scope="module")
def model(model_folder):
    found = load_video_model(model_folder, precision="fp32")
    return replace(found, preset=replace(found.preset, window=9, overlap=5))


@pytest.fixture(scope="module")
def clip():
    return render(make_scene(3), FRAMES, (32, 48))


class Stop(Exception):
    pass


def go(model, clip, folder, settings=SETTINGS, frames=None, stop_after=None):
    """Frames of a run and how many model steps it really made; stopped in the middle if asked."""
    job = prepare(FRAMES, (32, 48), model, settings, RenderedBuffers(clip))
    done = []

    def progress(step, _total):
        done.append(step)
        if len(done) == stop_after:
            raise Stop

    made = []
    chunks = None if folder is None else ChunkFolder(folder, {})
    for frame in run(job, clip.rgb if frames is None else frames, progress, chunks):
        made.append(frame)
    # A step counts one; a window that was found counts both of its own at once.
    return torch.stack(made), sum(b - a == 1 for a, b in zip([0, *done], done)), job.report


@pytest.mark.parametrize("handover", ["none", "mean", "motion"])
def test_stopped_after_any_step_it_goes_on_to_the_same_frames(model, clip, tmp_path, handover):
    settings = replace(SETTINGS, handover=handover)
    whole, steps, report = go(model, clip, None, settings)
    assert len(report.windows) == 5 and steps == 10 and whole.shape == clip.rgb.shape
    for stop_after in (4, 5):
        folder = tmp_path / f"{stop_after}"
        with pytest.raises(Stop):
            go(model, clip, folder, settings, stop_after=stop_after)
        again, made, resumed = go(model, clip, folder, settings)
        # The callback that stops the last step of a window stops it before it is kept.
        assert torch.equal(again, whole) and made == 10 - 2 * ((stop_after - 1) // 2)
        assert resumed.to_dict() == report.to_dict()


def test_fused_windows_of_a_finished_clip_are_found_again_and_before_that_start_anew(model, clip, tmp_path):
    settings = replace(SETTINGS, handover="fused")
    whole, steps, report = go(model, clip, None, settings)
    # A step of the long latent is one of every window: 5 windows, so no progress by one.
    assert whole.shape == clip.rgb.shape and steps == 0 and len(report.windows) == 1
    with pytest.raises(Stop):
        go(model, clip, tmp_path / "w", settings, stop_after=2)
    assert not (tmp_path / "w").exists()
    for _ in range(2):
        again, _, resumed = go(model, clip, tmp_path / "w", settings)
        assert torch.equal(again, whole) and resumed.to_dict() == report.to_dict()
        assert ChunkFolder(tmp_path / "w", {}).count == 1
    assert not torch.equal(whole, go(model, clip, None, replace(SETTINGS, handover="none"))[0])


def test_fused_windows_are_one_window_where_there_is_one_and_refused_where_the_latent_is_too_long(
    model, clip, monkeypatch
):
    wide = replace(model, preset=replace(model.preset, window=25))
    one, two = (go(wide, clip, None, replace(SETTINGS, handover=name))[0] for name in ("none", "fused"))
    assert torch.allclose(one, two, atol=1e-6)
    monkeypatch.setattr(sys.modules["pipeline_core.longvideo.fused"], "MOST_VALUES", 7 * 4 * 4 * 6 - 1)
    with pytest.raises(UserError, match="change handover"):
        go(model, clip, None, replace(SETTINGS, handover="fused"))


def test_only_what_changed_is_computed_again(model, clip, tmp_path):
    free = replace(SETTINGS, handover="none")
    first = go(model, clip, tmp_path / "free", free)[0]
    again, made, _ = go(model, clip, tmp_path / "free", free)
    assert torch.equal(again, first) and made == 0
    other = clip.rgb.clone()
    other[-1] = 1 - other[-1]
    changed, made, _ = go(model, clip, tmp_path / "free", free, other)
    assert made == 2 and torch.equal(changed[:16], first[:16]) and not torch.equal(changed[-1], first[-1])
    aligned, made, _ = go(model, clip, tmp_path / "free", replace(free, stitch="flow"), other)
    assert made == 0 and torch.equal(aligned[:4], changed[:4]) and not torch.equal(aligned[4:9], changed[4:9])
    held, made, _ = go(model, clip, tmp_path / "free", replace(free, anchor_colours=True), other)
    assert made == 0 and torch.equal(held[:4], changed[:4]) and not torch.equal(held[9:], changed[9:])
    assert go(model, clip, tmp_path / "free", replace(free, seed=1))[1] == 10
    go(model, clip, tmp_path / "tied")
    other = clip.rgb.clone()
    other[0] = 1 - other[0]
    assert go(model, clip, tmp_path / "tied", frames=other)[1] == 10, "each window goes on from the one before"


def test_a_nan_stops_there_and_keeps_the_rest(model, clip, tmp_path):
    frames = clip.rgb.clone()
    frames[-1] = torch.nan
    with pytest.raises(UserError, match="NaN"):
        go(model, clip, tmp_path / "w", replace(SETTINGS, controls={}, start="sdedit"), frames)
    assert ChunkFolder(tmp_path / "w", {}).count == 4


def test_the_hand_over_brings_neighbours_together(model, clip):
    """The tiny model is random, so that windows agree only on what is handed to them."""
    job = {name: go(model, clip, None, replace(SETTINGS, handover=name))[0] for name in ("none", "mean", "motion")}
    assert torch.equal(job["none"][:4], job["mean"][:4]), "before the first shared frame nothing has been handed over"
    assert not torch.equal(job["none"], job["mean"]) and not torch.equal(job["mean"], job["motion"])


def test_motion_without_buffers_is_estimated_or_refused(model, clip, monkeypatch):
    from pipeline_core.conditions.estimated import Estimators

    true = RenderedBuffers(clip).flow

    def frames_of(estimators=Estimators()):
        settings = replace(SETTINGS, controls={"edge": 1.0})
        job = prepare(FRAMES, (32, 48), model, settings, None, estimators)
        assert any("estimated from its frames" in note for note in job.report.notes)
        return torch.stack(list(run(job, clip.rgb)))

    windows = prepare(FRAMES, (32, 48), model, SETTINGS, RenderedBuffers(clip)).windows
    told = iter(windows[1:])

    def flow(frames):
        window = next(told)
        padding = torch.zeros(max(0, window.stop - FRAMES) + 1, 32, 48, 2)
        return torch.cat([true(window.start, min(window.stop, FRAMES))[:-1], padding])[: window.length]

    class OnlyFlow(RenderedBuffers):
        channels = ("flow",)

    job = prepare(FRAMES, (32, 48), model, replace(SETTINGS, controls={"edge": 1.0}), OnlyFlow(clip))
    given = torch.stack(list(run(job, clip.rgb)))
    assert torch.equal(frames_of(Estimators(flow=flow)), given), "an estimator that knows the truth is the buffers"
    assert not torch.equal(frames_of(), given)
    monkeypatch.setattr("pipeline_core.perception.flow.find_spec", lambda name: None)
    with pytest.raises(UserError, match="optical flow"):
        prepare(FRAMES, (32, 48), model, SETTINGS)


def test_killed_at_a_random_moment_the_command_goes_on_to_the_same_file(model_folder, tmp_path):
    source, whole, killed = (tmp_path / name for name in ("source.mp4", "whole.mp4", "killed.mp4"))
    media.write_clip(source, torch.rand(21, 32, 48, 3, generator=torch.Generator().manual_seed(0)), 12.5)
    command = [sys.executable, "-m", "pipeline_core", "enhance", str(source), "--model", str(model_folder)]
    command += ["--steps", "12", "--start", "noise", "--handover", "mean", "-o"]
    root = Path(__file__).parents[2]
    process = subprocess.Popen([*command, str(killed)], cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    manifest = tmp_path / "killed.mp4.windows" / "manifest.json"
    while process.poll() is None and not manifest.is_file():
        time.sleep(0.01)
    time.sleep(random.Random(os.getpid()).random() * 0.5)
    process.send_signal(signal.SIGKILL)
    process.wait()
    # Killed after the last frame, it may have put the file in its place: then it is whole.
    assert not killed.exists() or media.probe(killed) == media.probe(source)
    from pipeline_core.__main__ import main

    for target in ([killed], [whole, "--keep-windows"]):
        assert main([*command[3:], *map(str, target)]) == 0
    off = (media.read_clip(killed) - media.read_clip(whole)).abs().flatten(1).amax(1)
    assert not bool(off.any()), off
    assert media.probe(killed) == media.probe(source)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["killed.mp4", "source.mp4", "whole.mp4", "whole.mp4.windows"]
    assert len(json.loads((tmp_path / "whole.mp4.windows" / "manifest.json").read_text())["windows"]) == 5
