"""Oracles: a video network of known features and Gaussians in closed form; transformers' own VideoMAE forward."""

import pytest
import torch
from PIL import Image
from tiny_metrics import save_video_encoder

from pipeline_core.errors import UserError
from pipeline_core.metrics.compare import compare_frames
from pipeline_core.metrics.extras import Extras
from pipeline_core.metrics.realism import frechet_distance
from pipeline_core.metrics.windows import VideoDistance, VideoQuality, Windows, load_video_encoder
from pipeline_core.video.media import write_clip


def clip(frames, seed=0, size=(20, 24)):
    made = torch.rand(frames, *size, 3, generator=torch.Generator().manual_seed(seed))
    return (made * 255).round() / 255  # windows are held as bytes


def motion(windows):
    """Mean and mean change of every window: (N, 2)."""
    return torch.stack([windows.mean((1, 2, 3, 4)), windows.diff(dim=1).abs().mean((1, 2, 3, 4))], 1)


def test_windows_are_whole_and_in_order_however_the_clip_comes():
    whole, made = clip(11), []
    cut = Windows(4)
    for part in whole.split(3):
        made += cut.push(part)
    assert torch.equal(torch.stack(made), whole[:8].unflatten(0, (2, 4))) and cut.rest() == 3


def test_fvd_is_the_frechet_distance_of_the_windows_features():
    output, real = clip(48), 0.5 * clip(40, 1) + 0.2
    metric = VideoDistance(motion, 8)
    for part in output.split(5):
        metric.update(part)
    metric.update_real(real[:19].split(7))  # two windows, and three frames that do not mix with the next clip
    metric.update_real(real[16:].split(5))
    a, b = (motion(v.unflatten(0, (-1, 8))).double() for v in (output, (real * 255).round() / 255))
    expected = frechet_distance(a.mean(0), a.T.cov(), b.mean(0), b.T.cov())
    figure = metric.compute()["fvd"]
    assert figure.value == pytest.approx(expected, rel=1e-4) and "6 and 5 windows of 8 frames" in figure.note
    short = VideoDistance(motion, 8)
    short.update(output[:9])
    assert short.compute()["fvd"].value is None and "real" in short.compute()["fvd"].note
    short.update_real([real])
    assert short.compute()["fvd"].value is None and "two" in short.compute()["fvd"].note


def test_a_hook_scores_every_window_or_the_whole_short_clip():
    metric = VideoQuality("dover", lambda window: float(window.mean()), 4)
    frames = clip(10)
    for part in frames.split(3):
        metric.update(part)
    figure = metric.compute()["dover"]
    assert figure.value == pytest.approx(float(frames[:8].mean()), abs=1e-5) and figure.note == "2 windows"
    short = VideoQuality("dover", lambda window: len(window), 4)
    short.update(frames[:3])
    assert short.compute()["dover"].value == short.compute()["dover"].value == 3
    broken = VideoQuality("dover", lambda window: float("nan"), 4)
    broken.update(frames)
    assert broken.compute()["dover"].value is None and "no number" in broken.compute()["dover"].note
    assert VideoQuality("dover", len).compute()["dover"].note == "no frames"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_video_encoder(tmp_path_factory.mktemp("videomae"))


def test_features_are_the_network_s_own(folder):
    from transformers import VideoMAEModel

    encode, length, size = load_video_encoder(folder)
    windows = clip(8, size=(16, 16)).unflatten(0, (2, 4))
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        expected = VideoMAEModel.from_pretrained(folder).eval()((windows.movedim(-1, 2) - mean) / std)
    torch.testing.assert_close(encode(windows), expected.last_hidden_state.mean(1), rtol=1e-4, atol=1e-5)
    assert (length, size) == (4, (16, 16))


def test_in_the_report_with_a_folder_of_real_clips(folder, tmp_path, segmentation_folder):
    for name in ("a", "b"):
        write_clip(tmp_path / f"{name}.mp4", clip(9, size=(32, 32)), 10)
    Image.new("RGB", (32, 32)).save(tmp_path / "still.png")
    near, far = clip(12, 3, (32, 32)), clip(12, 3, (32, 32)) * 0.2
    extras = Extras(
        only=("realism",), real=tmp_path, video_encoder=load_video_encoder(folder), quality={"dover": lambda w: 7.0}
    )
    scores = []
    for output in (near, far):
        figures = compare_frames(output, output, extras=extras)["figures"]["realism"]
        assert figures["dover"]["value"] == 7 and figures["real_kid"]["value"] is None
        scores.append(figures["fvd"]["value"])
        assert "3 and 4 windows" in figures["fvd"]["note"]  # two of each clip, and none of the picture
    assert 0 <= 2 * scores[0] < scores[1]
    with pytest.raises(UserError, match="segformer"):
        load_video_encoder(segmentation_folder)
