"""Oracles: frames that went in come out; counts, rates and sizes are exact; bad input leaves nothing
behind."""

import gc
import wave
from fractions import Fraction

import av
import pytest
import torch

from pipeline_core.errors import UserError
from pipeline_core.video.facts import examine, frames_of
from pipeline_core.video.media import VideoWriter, probe, read_clip, read_frames, write_clip

SATURATED = [(r, g, b) for r in (0, 255) for g in (0, 255) for b in (0, 255)]


def flat_clip(colours, height, width):
    return torch.tensor(colours, dtype=torch.uint8)[:, None, None].expand(-1, height, width, 3)


@pytest.mark.parametrize("size", [(32, 48), (33, 47)])
def test_flat_colours_survive_the_round_trip(tmp_path, size):
    random = torch.randint(0, 256, (30, 3), generator=torch.Generator().manual_seed(0)).tolist()
    clip = flat_clip(SATURATED + random, *size)
    write_clip(tmp_path / "a.mp4", clip, 24)
    back = torch.stack(list(read_frames(tmp_path / "a.mp4")))
    assert back.shape == clip.shape and back.dtype == torch.uint8
    assert (back.int() - clip.int()).abs().max() <= 2


def test_a_moving_picture_survives_in_the_right_place_and_order(tmp_path):
    clip = torch.zeros(7, 32, 48, 3)
    for t in range(7):  # an asymmetric picture: a flip, a transposition or a shuffle would show
        clip[t, 4 + 3 * t : 8 + 3 * t, 6:18] = torch.tensor([0.9, 0.2, 0.1])
    write_clip(tmp_path / "a.mp4", clip, 10)
    back = read_clip(tmp_path / "a.mp4")
    assert back.dtype == torch.float32 and 0 <= back.min() and back.max() <= 1
    mse = (back - clip).square().mean((1, 2, 3))
    assert mse.max() < 1e-3
    assert mse.max() < 0.1 * (back[:-1] - clip[1:]).square().mean()
    part = read_clip(tmp_path / "a.mp4", 2, 5)
    assert torch.equal(part, back[2:5])


def test_frames_that_were_read_are_let_go_at_once(tmp_path):
    write_clip(tmp_path / "a.mp4", torch.rand(30, 32, 48, 3, generator=torch.Generator().manual_seed(2)), 24)
    facts = examine(tmp_path / "a.mp4")
    gc.collect()
    gc.disable()  # which comes late: it counts small objects, not the megabytes behind them
    try:
        for frames in (read_frames(tmp_path / "a.mp4"), frames_of(facts)):
            assert len(list(frames)) == 30
            assert sum(type(held).__name__ == "VideoFrame" for held in gc.get_objects()) <= 2
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "frames, fps, size",
    [(1, Fraction(25), (2, 2)), (3, Fraction(30000, 1001), (17, 64)), (49, Fraction(1, 2), (16, 18)),
     (5, Fraction(240), (31, 31)), (4, Fraction(1234567, 100000), (18, 20))],
)  # fmt: skip
def test_any_rate_size_and_count(tmp_path, frames, fps, size):
    path = tmp_path / "a.mp4"
    write_clip(path, torch.rand(frames, *size, 3, generator=torch.Generator().manual_seed(1)), fps)
    info = probe(path)
    assert (info.frames, info.height, info.width) == (frames, *size)
    assert abs(float(info.fps / fps) - 1) < 1e-4
    assert info.duration == pytest.approx(frames / float(fps), rel=1e-4)
    assert sum(1 for _ in read_frames(path)) == frames


def test_full_chroma_keeps_one_pixel_of_colour(tmp_path):
    """A red and green checkerboard: 4:2:0 has one chroma sample for each 2 x 2 block and must blend it away."""
    clip = torch.zeros(2, 32, 32, 3)
    board = (torch.arange(32)[:, None] + torch.arange(32)) % 2
    clip[..., 0], clip[..., 1] = 0.8 * board, 0.8 * (1 - board)
    errors = []
    for full in (True, False):
        write_clip(tmp_path / "a.mp4", clip, 10, full_chroma=full)
        errors.append((read_clip(tmp_path / "a.mp4") - clip).abs().mean().item())
    assert errors[0] < 0.02 and errors[1] > 0.2


def test_common_rates_are_exact(tmp_path):
    for fps in (Fraction(24), Fraction(30000, 1001), Fraction(24000, 1001), Fraction(10), Fraction(50)):
        write_clip(tmp_path / "a.mp4", torch.zeros(12, 16, 16, 3), fps)
        assert probe(tmp_path / "a.mp4").fps == fps


def test_frames_are_counted_when_the_header_has_no_count(tmp_path):
    write_clip(tmp_path / "a.mkv", torch.zeros(9, 16, 16, 3), 10)
    with av.open(str(tmp_path / "a.mkv")) as container:
        assert container.streams.video[0].frames == 0  # or this test shows nothing
    assert probe(tmp_path / "a.mkv").frames == 9


def test_files_are_tagged_bt709_limited(tmp_path):
    write_clip(tmp_path / "a.mp4", torch.zeros(2, 16, 16, 3), 10)
    with av.open(str(tmp_path / "a.mp4")) as container:
        context = container.streams.video[0].codec_context
        tags = (context.colorspace, context.color_primaries, context.color_trc, context.color_range)
    assert tags == (1, 1, 1, 1)


def write_foreign(path, colorspace, colour, codec="libx264"):
    """A clip written by another program's rules: BT.601 chroma, tagged or not."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv444p"
        stream.options = {"crf": "1"}
        stream.codec_context.colorspace = colorspace
        frame = av.VideoFrame(16, 16, "yuv444p")
        for plane, value in zip(frame.planes, colour):
            plane.update(bytes([value]) * plane.buffer_size)
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)


@pytest.mark.parametrize("colorspace, kr, kb", [(2, 0.299, 0.114), (6, 0.299, 0.114), (1, 0.2126, 0.0722)])
def test_foreign_matrices_are_decoded_by_their_own_tags(tmp_path, colorspace, kr, kb):
    y, cb, cr = 120, 100, 160
    write_foreign(tmp_path / "a.mp4", colorspace, (y, cb, cr))
    luma, u, v = (y - 16) / 219, (cb - 128) / 224, (cr - 128) / 224
    red, blue = luma + 2 * (1 - kr) * v, luma + 2 * (1 - kb) * u
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    expected = torch.tensor([red, green, blue])
    assert (read_clip(tmp_path / "a.mp4").mean((0, 1, 2)) - expected).abs().max() < 2.5 / 255


def test_bad_input_is_one_sentence_of_user_error(tmp_path):
    (tmp_path / "text.mp4").write_text("this is not a video\n" * 50)
    with wave.open(str(tmp_path / "sound.mp4"), "wb") as sound:
        sound.setparams((1, 2, 16000, 0, "NONE", ""))
        sound.writeframes(bytes(3200))
    with av.open(str(tmp_path / "empty.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width = stream.height = 16
        container.start_encoding()
    for name in ("missing.mp4", "text.mp4", "sound.mp4", "empty.mp4", ""):
        for call in (probe, lambda path: list(read_frames(path)), read_clip):
            with pytest.raises(UserError) as caught:
                call(tmp_path / name)
            assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_broken_file_is_not_reported_longer_than_it_is(tmp_path):
    clip = torch.rand(40, 64, 64, 3, generator=torch.Generator().manual_seed(2))
    write_clip(tmp_path / "a.mp4", clip, 10)
    data = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    assert 0 < probe(tmp_path / "cut.mp4").frames < 40


def test_errors_leave_nothing_behind(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"older file")
    with pytest.raises(RuntimeError), VideoWriter(tmp_path / "a.mp4", 10, (16, 16)) as out:
        out.write(torch.zeros(3, 16, 16, 3))
        raise RuntimeError("cancelled")
    with pytest.raises(UserError, match="No frame"), VideoWriter(tmp_path / "a.mp4", 10, (16, 16)):
        pass
    bad = torch.zeros(2, 16, 16, 3)
    bad[1, 3, 3, 0] = torch.nan
    whole = torch.zeros(1, 16, 16, 3)
    for frames in (bad, whole + 200, whole - 0.1, whole[:, :8], whole.long(), whole[..., 0]):
        with pytest.raises(UserError), VideoWriter(tmp_path / "a.mp4", 10, (16, 16)) as out:
            out.write(frames)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"older file"


def test_nan_names_its_frame(tmp_path):
    with pytest.raises(UserError, match="Frame 5 "), VideoWriter(tmp_path / "a.mp4", 10, (16, 16)) as out:
        out.write(torch.zeros(5, 16, 16, 3))
        out.write(torch.full((16, 16, 3), torch.nan))


def test_unwritable_places_are_refused(tmp_path):
    (tmp_path / "folder.mp4").mkdir()
    for path, fps, size in (
        (tmp_path / "none" / "a.mp4", 10, (16, 16)),
        (tmp_path / "a.gif", 10, (16, 16)),
        (tmp_path / "folder.mp4", 10, (16, 16)),
        (tmp_path / "a.mp4", 0, (16, 16)),
        (tmp_path / "a.mp4", 10, (0, 16)),
    ):
        with pytest.raises(UserError):
            VideoWriter(path, fps, size)


def test_input_frames_are_not_changed(tmp_path):
    clip = torch.rand(3, 16, 16, 3, generator=torch.Generator().manual_seed(3))
    kept = clip.clone()
    write_clip(tmp_path / "a.mp4", clip, 10)
    assert torch.equal(clip, kept)
