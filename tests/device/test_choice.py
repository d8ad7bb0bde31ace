"""Which device: one function for Python and the command line, and every network goes where it says."""

import pytest
import torch
from device_under_test import APART, NAME

from pipeline_core import devices
from pipeline_core.__main__ import main
from pipeline_core.cli import buffers, demo, enhance, metrics
from pipeline_core.devices import best_device, chosen_device, finest_dtype, has_float64  # the real one: see conftest.py
from pipeline_core.errors import UserError
from pipeline_core.metrics.critic import load_critic
from pipeline_core.models import load_video_model
from pipeline_core.perception.estimators import load_estimators
from pipeline_core.video.media import write_clip

FRAMES = torch.rand(2, 32, 48, 3, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("cuda, mps, best", [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")])
def test_the_best_device(monkeypatch, cuda, mps, best):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert best_device() == torch.device(best)


def test_a_device_that_is_not_there_is_said_in_a_sentence(device):
    assert chosen_device("cpu") == torch.device("cpu") and chosen_device(torch.device(NAME)).type == NAME
    for name in ("xla", "gpu", "vulkan"):
        with pytest.raises(
            UserError, match=rf"The device {name} cannot be used here \(.+\): give cpu, or leave it out"
        ):
            chosen_device(name)


def test_double_precision(device):
    assert has_float64(torch.device("cpu")) and finest_dtype(torch.device(NAME)) == torch.float64


def test_no_double_precision(coarse):
    assert not has_float64(torch.device(NAME)) and finest_dtype(torch.device(NAME)) == torch.float32


@pytest.mark.skipif(not APART, reason="the host itself")
def test_what_is_not_told_goes_to_the_best_device(device, monkeypatch, model_folder, depth_folder, segmentation_folder):
    monkeypatch.setattr(devices, "best_device", lambda: torch.device(NAME))
    model = load_video_model(model_folder)
    assert model.device.type == NAME and next(model.transformer.parameters()).device.type == NAME
    assert load_critic()(FRAMES)[0].device.type == NAME
    estimators = load_estimators(depth_folder, segmentation_folder)
    for estimate in (estimators.depth, estimators.segmentation):
        device.clear()
        estimate(FRAMES)
        assert device.uploads and device.reads  # the frames there, the answer back


class Stop(UserError):
    """Raised where the command has done what is looked at."""


@pytest.fixture
def clip(tmp_path):
    write_clip(tmp_path / "clip.mp4", FRAMES, 8)
    return str(tmp_path / "clip.mp4")


def told(monkeypatch, module, name, found, stop=False):
    """Replace a loader of a command by one that keeps the device it was given."""

    def load(*arguments, **options):
        found[name] = [value for value in (*arguments, *options.values()) if value == NAME]
        if stop:
            raise Stop(name)

    monkeypatch.setattr(module, name, load)


def test_enhance_tells_every_network(monkeypatch, clip, tmp_path):
    found = {}
    monkeypatch.setattr(enhance, "worded_prompts", lambda options, _: found.update(prompts=options.device) or {})
    told(monkeypatch, enhance, "load_estimators", found)
    told(monkeypatch, enhance, "load_video_model", found, stop=True)
    assert main(["enhance", clip, "-o", str(tmp_path / "out.mp4"), "--device", NAME]) == 2
    assert found == {"prompts": NAME, "load_estimators": [NAME], "load_video_model": [NAME]}


def test_the_captioner_is_told(device, monkeypatch, clip, tmp_path):
    found, folder = {}, tmp_path / "captioner"
    folder.mkdir()
    told(monkeypatch, enhance, "file_prompts", found, stop=True)
    arguments = ["--device", NAME, "--caption-model", str(folder)]
    assert main(["enhance", clip, "-o", str(tmp_path / "o.mp4"), *arguments]) == 2
    assert found == {"file_prompts": [NAME]}


def test_metrics_tells_every_network(monkeypatch, clip):
    found, loaders = {}, ("load_estimators", "load_encoder", "load_video_encoder", "load_text_image", "load_judge")
    for name in loaders:
        told(monkeypatch, metrics, name, found)
    seen = []
    monkeypatch.setattr(metrics, "compare", lambda *given, **_: seen.append(given) or {})
    monkeypatch.setattr("pipeline_core.metrics.critic.load_critic", lambda device: found.update(load_critic=[device]))
    monkeypatch.setattr(metrics, "file_hashes", lambda _: {})
    monkeypatch.setattr(metrics, "format_table", lambda _: "")
    models = [option for name in ("vision", "video", "clip") for option in (f"--{name}-model", "folder")]
    main(["metrics", clip, clip, "--device", NAME, *models, "--judge", "folder"])
    assert found == {name: [NAME] for name in (*loaders, "load_critic")}
    assert seen[0][6].device == NAME  # the extras, for LPIPS


def test_buffers_and_demo(monkeypatch, clip, tmp_path):
    found = {}
    told(monkeypatch, buffers, "load_estimators", found, stop=True)
    assert main(["buffers", clip, "--device", NAME, "--depth-model", "folder"]) == 2
    monkeypatch.setattr(demo, "render_file", lambda *_: None)
    monkeypatch.setattr(demo, "open_buffers", lambda *_: None)
    monkeypatch.setattr(demo.media, "probe", lambda _: None)
    told(monkeypatch, demo, "load_video_model", found, stop=True)
    assert main(["demo", "-o", str(tmp_path / "demo"), "--device", NAME]) == 2
    assert found == {"load_estimators": [NAME], "load_video_model": [NAME]}
