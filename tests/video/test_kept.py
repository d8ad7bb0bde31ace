"""A clip through examine, frames_of and a writer that is like it: read back, packet by packet, what was to be kept.

The oracles are the clip's own packets and times, the pictures that were drawn, and the tags as PyAV reads them.
"""

from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from made_clips import make_clip, packets, pictures, times, turned

from pipeline_core.errors import UserError
from pipeline_core.video.facts import examine, frames_of
from pipeline_core.video.media import VideoWriter, probe, read_frames

VARYING = [0, 40, 50, 130, 135, 300, 333, 700, 1000, 1001, 1100, 1250]


def passed_on(source, target, change=lambda frame: frame):
    """The clip frame by frame into a file like it; (facts, all that was said)."""
    facts = examine(source)
    with VideoWriter(target, facts.info.fps, facts.size, like=facts) as out:
        for frame in frames_of(facts):
            out.write(change(frame))
    return facts, [*facts.said(), *out.notes]


def tags(path):
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        return context.colorspace, context.color_primaries, context.color_trc, context.color_range


@pytest.mark.parametrize(
    "suffix, sound", [("mp4", "aac"), ("mp4", "libmp3lame"), ("mov", "pcm_s16le"), ("mkv", "libopus"), ("mkv", "flac")]
)
def test_sound_is_kept_bit_for_bit_at_its_times(tmp_path, suffix, sound):
    source, target = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    make_clip(source, pictures(30, 32, 48).astype(np.uint8), sound=sound)
    facts, said = passed_on(source, target)
    given, kept = packets(source, "audio"), packets(target, "audio")
    assert len(given) > 10 and [p[:2] for p in kept] == [p[:2] for p in given]
    assert times(target) == times(source) and said == [] and facts.steady


def test_streams_that_start_apart_stay_apart(tmp_path):
    source, target = tmp_path / "a.mp4", tmp_path / "b.mp4"
    frames = pictures(12, 32, 48).astype(np.uint8)
    for late, sound_from in ((400, 0), (0, 24000), (250, 12000)):
        make_clip(source, frames, VARYING, sound="aac", late=late, sound_from=sound_from)
        passed_on(source, target)
        assert times(target) == times(source) and times(source)[0] == Fraction(late, 1000)
        assert [p[:2] for p in packets(target, "audio")] == [p[:2] for p in packets(source, "audio")]


def test_sound_that_the_container_does_not_take_is_told(tmp_path):
    source = tmp_path / "a.mkv"
    make_clip(source, pictures(8, 32, 48).astype(np.uint8), sound="pcm_u8")
    _, said = passed_on(source, tmp_path / "b.mp4")
    assert [note for note in said if "pcm_u8" in note and ".mkv" in note]
    assert passed_on(source, tmp_path / "b.mkv")[1] == []
    assert [p[0] for p in packets(tmp_path / "b.mkv", "audio")] == [p[0] for p in packets(source, "audio")]


@pytest.mark.parametrize(
    "source, target", [("a.mp4", "b.mp4"), ("a.mkv", "b.mp4"), ("a.mkv", "b.mkv"), ("a.mp4", "b.mov")]
)
def test_every_frame_keeps_its_time_where_the_rate_varies(tmp_path, source, target):
    source, target = tmp_path / source, tmp_path / target
    make_clip(source, pictures(len(VARYING), 32, 48).astype(np.uint8), VARYING, options={"bf": "3"})
    _, said = passed_on(source, target)
    assert times(target) == times(source) == [Fraction(time, 1000) for time in VARYING]
    assert sum("rate varies" in note for note in said) == 1
    assert probe(target).frames == len(VARYING)


@pytest.mark.parametrize("options", [{"bf": "0"}, {"bf": "3"}])
@pytest.mark.parametrize("given", [VARYING, None])
def test_the_last_frame_is_shown_as_long(tmp_path, options, given):
    source, target = tmp_path / "a.mkv", tmp_path / "b.mp4"  # Matroska states how long a frame is shown
    make_clip(source, pictures(12, 32, 48).astype(np.uint8), given, options=options)
    facts, _ = passed_on(source, target)
    shown = dict(packet[1:] for packet in packets(source, "video"))
    with av.open(str(target)) as container:
        stream = container.streams.video[0]
        length = stream.duration * stream.time_base
    wanted = max(shown) + shown[max(shown)]
    assert abs(length - wanted) <= Fraction(2, 1000) and abs(facts.info.duration - wanted) <= 0.002


# The display matrix a b c d, and what it makes of stored pictures (T, H, W, C): rotations are clockwise.
TURNS = [
    ((0, 1, -1, 0), lambda clip: np.rot90(clip, -1, (1, 2)), "90 degrees clockwise"),
    ((-1, 0, 0, -1), lambda clip: np.rot90(clip, 2, (1, 2)), "180 degrees"),
    ((0, -1, 1, 0), lambda clip: np.rot90(clip, 1, (1, 2)), "90 degrees anticlockwise"),
    ((-1, 0, 0, 1), lambda clip: clip[:, :, ::-1], "mirrored"),
]


@pytest.mark.parametrize("matrix, upright, words", TURNS)
def test_turned_clips_come_out_upright(tmp_path, matrix, upright, words):
    frames = pictures(5, 32, 48).astype(np.uint8)
    make_clip(tmp_path / "flat.mp4", frames, layout="yuv444p", options={"crf": "1"})
    turned(tmp_path / "flat.mp4", tmp_path / "a.mp4", matrix)
    wanted = upright(frames)
    facts, said = passed_on(tmp_path / "a.mp4", tmp_path / "b.mp4")
    info = probe(tmp_path / "a.mp4")
    assert facts.size == (info.height, info.width) == wanted.shape[1:3] and any(words in note for note in said)
    for path in (tmp_path / "a.mp4", tmp_path / "b.mp4"):
        found = torch.stack(list(read_frames(path))).numpy()
        assert np.abs(found.astype(int) - wanted).mean() < 3
    with av.open(str(tmp_path / "b.mp4")) as container:  # turned once, in its pixels
        assert next(container.decode(video=0)).rotation == 0


def test_a_slant_is_told_and_left(tmp_path):
    make_clip(tmp_path / "flat.mp4", pictures(3, 32, 48).astype(np.uint8))
    turned(tmp_path / "flat.mp4", tmp_path / "a.mp4", (1, 1, -1, 1))
    facts, said = passed_on(tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert facts.size == (32, 48) and sum("no quarter turn" in note for note in said) == 1


NEWER = pytest.param(9, False, marks=pytest.mark.skipif(av.__version__ < "18", reason="refused, see below"))


@pytest.mark.parametrize("matrix, full", [(1, False), (1, True), (5, False), (5, True), NEWER, (7, False)])
def test_matrix_and_range_are_read_by_the_tags_and_written_again(tmp_path, matrix, full):
    source, target = tmp_path / "a.mp4", tmp_path / "b.mp4"
    frames, codes = pictures(3, 32, 48).astype(np.uint8), (matrix, 1, 1, 2 if full else 1)
    make_clip(source, frames, layout="yuv444p", tags=codes, matrix=matrix, full=full, options={"crf": "1"})
    passed_on(source, target)
    assert tags(source) == tags(target) == codes
    for path, limit in ((source, 2), (target, 4)):
        found = torch.stack(list(read_frames(path))).numpy().astype(int)
        assert np.abs(found - frames).mean() < limit


def test_an_old_pyav_refuses_what_it_would_read_wrongly(tmp_path, monkeypatch):
    frames = pictures(3, 32, 48).astype(np.uint8)
    make_clip(tmp_path / "a.mp4", frames, layout="yuv444p", tags=(9, 1, 1, 1), matrix=9, full=False)
    monkeypatch.setattr(av, "__version__", "17.1.0")
    with pytest.raises(UserError, match="BT.2020's matrix.*install av 18 or newer"):
        list(read_frames(tmp_path / "a.mp4"))


def test_ten_bits_stay_ten_bits(tmp_path):
    """A slope of 10-bit steps: eight bits would leave every fourth."""
    source, target = tmp_path / "a.mp4", tmp_path / "b.mp4"
    slope = np.linspace(20000, 24000, 128).astype(np.uint16)
    frames = np.broadcast_to(slope[None, None, :, None], (4, 64, 128, 3))
    make_clip(source, frames, layout="yuv420p10le", tags=(1, 1, 1, 1), options={"crf": "1"})
    facts, said = passed_on(source, target)
    assert facts.bits == 10 and said == []
    assert all(frame.dtype == torch.float16 for frame in frames_of(facts))
    found = []
    for path in (source, target):
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
            assert frame.format.name == "yuv420p10le"
            plane = np.frombuffer(frame.planes[0], np.uint16).reshape(64, -1)[:, :128]
            found.append(plane.astype(int))
    assert len(np.unique(found[0])) > 45 and len(np.unique(found[1])) > 45
    assert np.abs(found[0] - found[1]).mean() < 1
    assert all(frame.dtype == torch.uint8 for frame in read_frames(source))  # whoever wants bytes gets bytes


@pytest.mark.parametrize("height, width", [(33, 47), (2, 3000), (1, 1), (31, 48)])
def test_any_size_comes_back(tmp_path, height, width):
    source, target = tmp_path / "a.mkv", tmp_path / "b.mp4"
    make_clip(source, pictures(3, height, width).astype(np.uint8), layout="bgr0", codec="ffv1")
    facts, said = passed_on(source, target)
    info = probe(target)
    assert facts.size == (info.height, info.width) == (height, width)
    assert any(("odd size" in note) == bool(height % 2 or width % 2) for note in said if "4:4:4" in note)


def test_the_shape_of_pixels_is_kept(tmp_path):
    make_clip(tmp_path / "flat.mp4", pictures(3, 32, 48).astype(np.uint8), aspect=Fraction(4, 3))
    turned(tmp_path / "flat.mp4", tmp_path / "turned.mp4", (0, 1, -1, 0))
    for name, aspect in (("flat.mp4", Fraction(4, 3)), ("turned.mp4", Fraction(3, 4))):
        passed_on(tmp_path / name, tmp_path / "b.mp4")
        with av.open(str(tmp_path / "b.mp4")) as container:
            assert container.streams.video[0].sample_aspect_ratio == aspect


def test_what_a_result_has_no_place_for_is_told(tmp_path):
    source = tmp_path / "a.mkv"
    with av.open(str(source), "w") as out:
        for _ in range(2):
            stream = out.add_stream("libx264", rate=10)
            stream.width = stream.height = 32
            stream.pix_fmt = "yuv420p"
        for stream in out.streams.video:
            for picture in pictures(3, 32, 32).astype(np.uint8):
                out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            out.mux(stream.encode())
    _, said = passed_on(source, tmp_path / "b.mp4")
    assert any("1 video stream" in note for note in said)
    assert any("how its colours are coded" in note and "BT.601" in note for note in said)


def test_an_error_midway_leaves_the_older_file_and_nothing_else(tmp_path):
    make_clip(tmp_path / "a.mp4", pictures(12, 32, 48).astype(np.uint8), sound="aac")
    (tmp_path / "b.mp4").write_bytes(b"older")

    def fail(frame):
        raise RuntimeError("cancelled")

    with pytest.raises(RuntimeError):
        passed_on(tmp_path / "a.mp4", tmp_path / "b.mp4", fail)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]
    assert (tmp_path / "b.mp4").read_bytes() == b"older"


def test_pictures_that_are_kept_but_not_shown_are_no_frames(tmp_path):
    """A VP8 clip with every third packet once more before itself, marked as not shown."""
    make_clip(tmp_path / "a.webm", pictures(9, 32, 48).astype(np.uint8), codec="libvpx")
    with av.open(str(tmp_path / "a.webm")) as source, av.open(str(tmp_path / "b.webm"), "w") as out:
        stream = source.streams.video[0]
        target = out.add_stream_from_template(stream)
        for number, packet in enumerate(packet for packet in source.demux(stream) if packet.size):
            data = bytes(packet)
            for again in [bytes([data[0] & ~0x10]) + data[1:], data] if number % 3 == 2 else [data]:
                copy = av.Packet(again)
                copy.pts, copy.dts, copy.time_base, copy.stream = packet.pts, packet.dts, packet.time_base, target
                out.mux(copy)
    with av.open(str(tmp_path / "b.webm")) as container:
        assert sum(packet.size > 0 for packet in container.demux(video=0)) == 12
    facts = examine(tmp_path / "b.webm")
    assert probe(tmp_path / "b.webm").frames == facts.info.frames == len(list(read_frames(tmp_path / "b.webm"))) == 9
    assert facts.damage == ""
