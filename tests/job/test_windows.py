"""What each window of a job is given, with frame numbers as pictures; and files of every length through a stand-in."""

import gc
import weakref
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import pytest
import torch

from pipeline_core.diffusion import VE, karras_sigmas
from pipeline_core.errors import UserError
from pipeline_core.job.files import enhance_file
from pipeline_core.job.inputs import window_inputs
from pipeline_core.job.latent import enhance_handed
from pipeline_core.job.plan import prepare
from pipeline_core.job.run import run
from pipeline_core.job.settings import EnhanceSettings, resolve
from pipeline_core.longvideo import plan_windows
from pipeline_core.longvideo.plan import latent_frames, shared_latent_frames
from pipeline_core.longvideo.stitch import window_clips
from pipeline_core.models.folders.preset import Preset
from pipeline_core.video import media
from pipeline_core.video.facts import examine

SIZE, FRAMES = (16, 32), 44
PRESET = Preset(size=SIZE, steps=2, start="noise", control_weights={"edge": 1.0, "depth": 1.0, "segmentation": 1.0})


class StandIn:
    """A model's interface without networks: latents are every fourth frame, predictions a number per frame."""

    preset, device, bf16, branches, notes, reference = PRESET, torch.device("cpu"), False, {}, (), None
    edits = False
    transformer = vae = text_encoder = torch.nn.Identity()

    def encode_text(self, prompts):
        return torch.zeros(len(prompts), 1, 1)

    def encode(self, frames):
        return frames[::4, ::8, ::8].movedim(-1, 0)[None]

    def decode(self, latent):
        planes = latent[0].movedim(0, -1).repeat_interleave(8, 1).repeat_interleave(8, 2).clamp(0, 1)
        return torch.cat([planes[:1], planes[1:].repeat_interleave(4, 0)])

    encode_hint = encode

    def predictor(self, *bound):
        return lambda x, sigma, branches: [torch.full_like(x, 0.5) for _ in branches]


class Numbered:
    """Buffers whose depth, in every pixel, is 10 m times the frame's number from 1, but for one row that is the same in
    all frames."""

    channels, frames, scene, lights = ("depth",), FRAMES, {}, []

    def depth(self, start, stop):
        depth = 10.0 * torch.arange(start + 1, stop + 1).float()[:, None, None].repeat(1, *SIZE)
        depth[:, 0] = 77.0
        return depth


def numbers(count):
    """Frames and maps whose every value is the frame's number over 1000."""
    return (torch.arange(count) / 1000)[:, None, None, None].expand(-1, *SIZE, 3)


def inputs_of(job, frames):
    return [window_inputs(job, i, clip) for i, clip in enumerate(window_clips(frames, job.windows))]


def test_every_window_has_the_hints_of_its_own_frames():
    """ComfyUI's core hands each window the first frames' hints; here frame numbers say whose they are."""
    frames = numbers(FRAMES)
    maps = {"edge": frames[..., 0], "depth": frames[..., 0], "segmentation": frames}
    job = prepare(FRAMES, SIZE, StandIn(), EnhanceSettings(), maps=maps)
    assert len(job.windows) > 2 and job.windows[-1].stop > FRAMES
    for window, made in zip(job.windows, inputs_of(job, frames), strict=True):
        expected = torch.arange(window.start, window.stop).clamp(max=FRAMES - 1)
        for name in ("source", "edge", "depth", "segmentation"):
            seen = (made[name].reshape(len(made[name]), -1) * 1000).round().int()
            assert torch.equal(seen, expected.int()[:, None].expand_as(seen)), (name, window)


def test_depth_has_one_scale_over_the_clip():
    """The same 77 m are the same grey in every window, though each window's own range is another."""
    job = prepare(FRAMES, SIZE, StandIn(), EnhanceSettings(), Numbered())
    depths = [made["depth"] for made in inputs_of(job, numbers(FRAMES))]
    rows = torch.cat([depth[:, 0] for depth in depths])
    assert torch.equal(rows, rows[:1, :1].expand_as(rows)) and 0 < float(rows[0, 0]) < 1
    for earlier, later, a, b in zip(job.windows, job.windows[1:], depths, depths[1:]):
        shared = earlier.stop - later.start
        assert torch.equal(a[-shared:], b[:shared])
    assert len({round(float(depth[:, 1].mean()), 4) for depth in depths}) == len(depths)


def inverted(predict, x0):
    settings = resolve(EnhanceSettings(start="inversion", steps=6), PRESET)
    return enhance_handed(predict, x0, karras_sigmas(6, 0.02, 20.0), settings, VE, 0, lambda *_: None).noise


@pytest.mark.parametrize("reach, agrees", [(0, 1e-12), (1, 0.2)])
def test_inverting_window_by_window_gives_noise_that_agrees_where_they_overlap(reach, agrees):
    """Exactly so for a model that sees one frame at a time; nearly for one that sees its neighbours, for their noise is
    made from the same source; fresh noise differs by sqrt 2 of itself."""
    kernel = torch.tensor([0.1] * reach + [1.0] + [0.1] * reach)
    kernel = (kernel / kernel.sum()).double()

    def predict(x, sigma, branches):
        padded = torch.cat([x[:, :, :1]] * reach + [x] + [x[:, :, -1:]] * reach, 2)
        mixed = sum(w * padded[:, :, i : i + x.shape[2]] for i, w in enumerate(kernel.tolist()))
        return [torch.tanh(mixed / (1 + sigma)) for _ in branches]

    generator = torch.Generator().manual_seed(0)
    whole = torch.randn(1, 3, 12, 4, 4, generator=generator, dtype=torch.float64).cumsum(2) / 3
    windows = plan_windows(FRAMES, 17, 9, 4)
    noises = [inverted(predict, whole[:, :, s.start : s.stop]) for s in (latent_frames(w, 4) for w in windows)]
    for i, (earlier, later) in enumerate(zip(windows, windows[1:])):
        ours, theirs = shared_latent_frames(earlier, later, 4)
        a, b = noises[i][:, :, ours], noises[i + 1][:, :, theirs]
        assert float((a - b).norm() / a.norm()) < agrees


# test_stream.py has every count as frames; as files, all from 1 to 260 passed, at a second each.
COUNTS = [*range(1, 8), 16, 17, 18, 21, 29, 30, 60, 120, 121, 259, 260]


def test_files_of_any_length_come_back_with_their_frames_their_rate_and_their_size(tmp_path):
    source, target = tmp_path / "source.mp4", tmp_path / "target.mp4"
    settings = EnhanceSettings(steps=1, controls={})
    for count in COUNTS:
        size, rate = ((16, 32), Fraction(25)) if count % 2 else ((17, 31), Fraction(30000, 1001))
        media.write_clip(source, (torch.full((*size, 3), 128, dtype=torch.uint8) for _ in range(count)), rate)
        info = media.probe(source)
        report = enhance_file(examine(source), target, StandIn(), settings, None)
        assert media.probe(target) == info and (info.frames, info.fps) == (count, rate), count
        assert report["frames"] == count and len(report["windows"]) == len(plan_windows(count, 17, 5, 4))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source.mp4", "target.mp4"]


def test_every_plan_is_shown_before_it_runs_with_what_it_costs():
    plan = prepare(41, SIZE, StandIn(), EnhanceSettings(controls={})).report.plan
    assert plan["windows"] == [[0, 17], [12, 29], [24, 41]] and plan["compute_factor"] == round(51 / 41, 3)


def test_a_plan_that_cannot_be_is_refused_with_a_reason():
    wide = SimpleNamespace(preset=replace(PRESET, overlap=17), encode_text=None, notes=(), device=torch.device("cpu"))
    with pytest.raises(UserError, match="overlap is 17 but must be from 0 to 13"):
        prepare(41, SIZE, wide, EnhanceSettings())


def test_the_hints_of_a_window_are_let_go_with_it():
    """Where windows follow each other: before one's maps are encoded, those of the window before are gone."""
    encoded, alive = [], []

    class Watched(StandIn):
        def encode_hint(self, frames):
            gc.collect()
            alive.append(sum(hint() is not None for hint in encoded))
            hint = self.encode(frames)
            encoded.append(weakref.ref(hint))
            return hint

        def predictor(self, texts, hints, *bound):
            return lambda x, sigma, branches: [torch.full_like(x, 0.5 * bool(hints)) for _ in branches]

    job = prepare(FRAMES, SIZE, Watched(), EnhanceSettings(handover="mean"), Numbered())
    list(run(job, torch.rand(FRAMES, *SIZE, 3, generator=torch.Generator().manual_seed(0))))
    assert len(job.windows) > 2 and alive == [*range(len(job.weights))] * len(job.windows)
