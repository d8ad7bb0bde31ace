"""Metrics whose networks are on a second device, and the whole report with all of them."""

import pytest
import torch
from device_under_test import NAME, device_under_test
from pretend_device import assert_alike
from safetensors.torch import save_file
from tiny_metrics import ALEX, VGG, lpips_weights, save_clip, save_judge, save_video_encoder

from pipeline_core.metrics.compare import compare_frames
from pipeline_core.metrics.critic import load_critic
from pipeline_core.metrics.extras import Extras
from pipeline_core.metrics.judge import load_judge
from pipeline_core.metrics.lpips import LPIPS
from pipeline_core.metrics.windows import load_video_encoder
from pipeline_core.perception.encoders import load_encoder
from pipeline_core.perception.estimators import load_estimators
from pipeline_core.perception.text_image import load_text_image

SOURCE, OUTPUT, TWIN = torch.rand(3, 5, 32, 48, 3, generator=torch.Generator().manual_seed(0))
# None of these may leave the device without double precision.
BOTH = pytest.mark.parametrize("float64", [True, False], ids=["device", "without double precision"])


@BOTH
@pytest.mark.parametrize("layers", [ALEX, VGG], ids=["alex", "vgg"])
def test_lpips(float64, layers, tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(lpips_weights(layers), str(path))
    wanted = LPIPS(path, "cpu")
    wanted.update(OUTPUT, SOURCE)
    with device_under_test(float64) as device:
        found = LPIPS(path, NAME)
        device.clear()
        found.update(OUTPUT.to(NAME), SOURCE.to(NAME))
        found.update(OUTPUT, SOURCE)
    assert found.series["lpips"] == pytest.approx(2 * wanted.series["lpips"], rel=1e-5)


@BOTH
def test_the_critic(float64):
    logits, features = load_critic(device="cpu")(OUTPUT)
    with device_under_test(float64):
        critic = load_critic(device=NAME)
        for frames in (OUTPUT, OUTPUT.to(NAME)):
            found = critic(frames)
            assert torch.allclose(found[0].cpu(), logits, atol=1e-4) and torch.allclose(
                found[1].cpu(), features, atol=1e-4
            )


@BOTH
def test_the_whole_report(float64, tmp_path, depth_folder, segmentation_folder):
    """Frames on the host, as files and ComfyUI's IMAGEs are; every network there is on the device."""
    clip, video, judge = (tmp_path / name for name in ("clip", "video", "judge"))
    save_clip(clip), save_video_encoder(video), save_judge(judge)
    save_file(lpips_weights(ALEX), str(tmp_path / "lpips.safetensors"))

    def report(place):
        extras = Extras(
            lpips=tmp_path / "lpips.safetensors",
            estimators=load_estimators(depth_folder, segmentation_folder, place),
            encoder=load_encoder(clip, place),
            real=TWIN,
            video_encoder=load_video_encoder(video, place),
            text_image=load_text_image(clip, place),
            pick=load_text_image(clip, place),
            prompt="photo",
            judge=load_judge(judge, place, "picture A or B"),
            device=place,
        )
        return compare_frames(SOURCE, OUTPUT, TWIN, load_critic(device=place), extras=extras)

    wanted = report("cpu")
    with device_under_test(float64):
        found = report(NAME)
    assert_alike(found["figures"], wanted["figures"], 1e-3)
