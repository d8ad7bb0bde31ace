"""Frames at the clip's own size: kept pixels, and how many frames are held between the clip and its result."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline_core.enhance import enhance
from pipeline_core.errors import UserError
from pipeline_core.job.delivery import Delivery
from pipeline_core.job.keep import read_keep_mask
from pipeline_core.job.plan import prepare
from pipeline_core.job.run import run
from pipeline_core.job.settings import EnhanceSettings
from pipeline_core.models.folders.loading import load_video_model

FULL, FRAMES = (64, 96), 12
SETTINGS = EnhanceSettings(start="sdedit", strength=0.9, steps=2)


@pytest.fixture(scope="module")
def model(model_folder):
    return load_video_model(model_folder, precision="fp32")


def bytes_clip(frames=FRAMES, size=FULL):
    return (torch.rand(frames, *size, 3, generator=torch.Generator().manual_seed(0)) * 255).byte()


def display():
    mask = torch.zeros(FULL)
    mask[40:, 10:50] = 1.0
    return mask


@pytest.mark.parametrize("handover", ["none", "fused"])
def test_kept_pixels_are_the_sources_own_and_the_others_as_without_a_mask(model, handover):
    clip, settings = bytes_clip().float() / 255, replace(SETTINGS, handover=handover)
    plain, _ = enhance(clip, model, settings)
    result, report = enhance(clip, model, settings, keep=display())
    inside = display().bool()
    assert torch.equal(result[:, inside], clip[:, inside]) and torch.equal(result[:, ~inside], plain[:, ~inside])
    assert not torch.equal(plain[:, inside], clip[:, inside])
    assert f"{float(display().mean()):.1%}" in next(note for note in report.notes if "keep mask" in note)


def test_a_mask_of_another_size_is_refused_in_a_sentence(model):
    with pytest.raises(UserError, match="came as 48x32 but the clip is 96x64"):
        enhance(bytes_clip(1).float() / 255, model, SETTINGS, keep=torch.zeros(32, 48))


@pytest.mark.parametrize("mode", ["L", "RGB", "1", "I;16"])
def test_a_mask_is_read_from_any_png(tmp_path, mode):
    light = np.where(display().numpy() > 0, 255, 0)
    if mode == "I;16":
        picture = Image.fromarray((light * 257).astype(np.uint16))
    else:
        picture = Image.fromarray(light.astype(np.uint8)).convert(mode)
    picture.save(tmp_path / "mask.png")
    assert torch.equal(read_keep_mask(tmp_path / "mask.png", FULL), display().bool())
    with pytest.raises(UserError, match="clip is 96x32"):
        read_keep_mask(tmp_path / "mask.png", (32, 96))


@pytest.mark.parametrize("handover, windows", [("none", 2), ("fused", 0)])
def test_no_more_than_two_windows_of_full_frames_are_held(model, handover, windows, monkeypatch):
    held, clip = [], bytes_clip(30)
    small = Delivery.small

    def watched(self, frames):
        for frame in small(self, frames):
            held.append(len(self._waiting))
            yield frame

    settings = replace(SETTINGS, handover=handover)
    job = prepare(len(clip), FULL, model, settings, read=lambda: clip)
    expected = torch.stack(list(run(prepare(len(clip), FULL, model, settings), clip)))
    monkeypatch.setattr(Delivery, "small", watched)
    assert torch.equal(torch.stack(list(run(job, iter(clip)))), expected)
    assert len(job.windows) > 3 and max(held) == (job.windows[windows - 1].stop if windows else 0)


def test_a_clip_without_buffers_is_told_what_it_lacks_and_what_would_give_it(model):
    notes = prepare(5, FULL, model, SETTINGS).report.notes
    told = [note for note in notes if note.startswith("No ")]
    assert len(told) == 1
    for option in ("NAME_buffers", "--depth-model", "segmentation_model", "docs/models.md"):
        assert option in told[0]
    edges = prepare(5, FULL, model, replace(SETTINGS, controls={"edge": 1.0})).report.notes
    assert not any(note.startswith("No ") for note in edges)


@pytest.mark.parametrize(
    "size, start", [((64, 96), "calibration"), ((64, 96), "inversion"), ((70, 100), "calibration")]
)
def test_a_second_pass_draws_at_full_size_and_keeps_what_is_kept(model, size, start):
    clip = bytes_clip(8, size).float() / 255
    steps = 8 if start == "inversion" else 2
    settings, mask, told = replace(SETTINGS, refine=0.3, refine_start=start, steps=steps), torch.zeros(size), []
    mask[:20] = 1.0
    plain, _ = enhance(clip, model, replace(settings, refine=0.0))
    result, _ = enhance(clip, model, settings, keep=mask, progress=lambda *steps: told.append(steps))
    assert result.shape == clip.shape and torch.equal(result[:, :20], clip[:, :20])
    assert 1e-4 < float((result[:, 20:] - plain[:, 20:]).abs().mean()) < 0.3
    assert told[-1][0] == told[-1][1] and len({total for _, total in told}) == 1


def test_a_second_pass_too_short_to_invert_is_refused_before_the_first(model):
    told, settings = [], replace(SETTINGS, refine=0.3, refine_start="inversion")
    with pytest.raises(UserError, match="leaves one of 2 steps.*calibration"):
        enhance(bytes_clip(8).float() / 255, model, settings, progress=lambda *steps: told.append(steps))
    assert told == []
