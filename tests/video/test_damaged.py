"""Clips that are cut, broken, mixed or no clips: told in one sentence, never filled up in silence, never fetched."""

import struct
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from made_clips import make_clip, pictures, turned

from pipeline_core.errors import UserError
from pipeline_core.metrics.compare import compare
from pipeline_core.video.facts import examine, frames_of
from pipeline_core.video.lengths import missing_bytes
from pipeline_core.video.media import VideoWriter, probe, read_frames

FRAMES = pictures(60, 64, 96).astype(np.uint8)


def cut(source, target, share):
    data = source.read_bytes()
    target.write_bytes(data[: int(len(data) * share)])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The same clip in three containers, with sound."""
    folder = tmp_path_factory.mktemp("whole")
    for suffix in ("mp4", "mkv", "avi"):
        codec, sound = ("mpeg4", "mp2") if suffix == "avi" else ("libx264", "aac")
        make_clip(folder / f"a.{suffix}", FRAMES, codec=codec, sound=sound)
    return folder


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_whole_clips_are_whole(whole, suffix):
    facts = examine(whole / f"a.{suffix}")
    assert facts.damage == "" and facts.info.frames == len(FRAMES) == probe(facts.path).frames


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.78, 0.97])
def test_a_cut_clip_is_told_and_what_is_there_is_the_whole_ones(whole, tmp_path, suffix, share):
    source = tmp_path / f"cut.{suffix}"
    cut(whole / f"a.{suffix}", source, share)
    facts = examine(source)
    assert "\n" not in facts.damage and (0 < facts.info.frames < len(FRAMES) or share > 0.9)
    with pytest.raises(UserError, match="is damaged: .*; give the whole file, or so"):
        facts.refuse_damage(", or so")
    found = list(frames_of(facts))
    assert len(found) == facts.info.frames == len(facts.times)
    for mine, theirs in zip(found[:-4], read_frames(whole / f"a.{suffix}")):  # the last packet is cut: B-frames
        assert torch.equal(mine, theirs)
    with VideoWriter(tmp_path / "b.mp4", facts.info.fps, facts.size, like=facts, lenient=True) as out:
        for frame in found:
            out.write(frame)
    assert examine(tmp_path / "b.mp4").damage == "" and probe(tmp_path / "b.mp4").frames == len(found)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_cut_clip_is_no_clip_to_measure(whole, tmp_path, suffix):
    source = tmp_path / f"cut.{suffix}"
    cut(whole / f"a.{suffix}", source, 0.78)
    with pytest.raises(UserError, match="is cut: its header announces"):
        compare(source, source)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_bytes_that_lack_are_counted(whole, tmp_path, name):
    data = (whole / name).read_bytes()
    assert missing_bytes(whole / name) == 0
    for lost in (1, 1000):
        (tmp_path / name).write_bytes(data[:-lost])
        assert missing_bytes(tmp_path / name) == lost
    (tmp_path / name).write_bytes(b"1234" * 100)
    assert missing_bytes(tmp_path / name) == 0


def test_broken_packets_are_told(whole, tmp_path):
    data = bytearray((whole / "a.mp4").read_bytes())
    start = data.index(b"mdat") + 3000
    data[start : start + 20000] = bytes(20000)
    (tmp_path / "a.mp4").write_bytes(data)
    assert examine(tmp_path / "a.mp4").damage


@pytest.mark.parametrize("kind", ["pictures", "sound"])
def test_a_file_that_shrinks_meanwhile_is_noticed(whole, tmp_path, kind):
    source = tmp_path / "a.mkv"
    source.write_bytes((whole / "a.mkv").read_bytes())
    facts = examine(source)
    found = list(frames_of(facts)) if kind == "sound" else None
    cut(whole / "a.mkv", source, 0.6)
    with pytest.raises(UserError, match="the file has changed since the job began"):
        with VideoWriter(tmp_path / "b.mp4", facts.info.fps, facts.size, like=facts) as out:
            for frame in found or frames_of(facts):
                out.write(frame)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]
    assert 0 < len(list(frames_of(facts, lenient=True))) < facts.info.frames


def test_a_header_without_a_codec_is_one_sentence(tmp_path):
    make_clip(tmp_path / "whole.mp4", FRAMES[:5])
    data = (tmp_path / "whole.mp4").read_bytes()
    for place, name in ((data.index(b"stsd") + 16, b"zzzz"), (data.index(b"stsd") + 4, bytes(12))):
        (tmp_path / "a.mp4").write_bytes(data[:place] + name + data[place + len(name) :])
        for call in (probe, examine, lambda path: list(read_frames(path))):
            with pytest.raises(UserError) as caught:
                call(tmp_path / "a.mp4")
            assert "\n" not in str(caught.value)


def test_headers_with_any_byte_changed_are_read_or_refused_in_a_sentence(tmp_path):
    """No traceback, whatever stands in the header: every 7th byte of it, flipped."""
    make_clip(tmp_path / "whole.mp4", FRAMES[:4, :16, :16])
    data = (tmp_path / "whole.mp4").read_bytes()
    refused = 0
    for place in range(0, data.index(b"mdat"), 7):
        (tmp_path / "a.mp4").write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        try:
            facts = examine(tmp_path / "a.mp4")
            assert len(list(frames_of(facts))) == facts.info.frames
        except UserError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 5


def test_a_size_that_changes_midway_is_refused_with_its_frame(tmp_path):
    parts = []
    for number, frames in enumerate((FRAMES[:6], FRAMES[:6, :32, :48])):
        make_clip(tmp_path / f"{number}.mp4", frames, options={"bf": "0"})
        with av.open(str(tmp_path / f"{number}.mp4")) as source, av.open(str(tmp_path / f"{number}.ts"), "w") as out:
            stream = out.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream, shift = stream, 10**6 * number
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    out.mux(packet)
        parts.append((tmp_path / f"{number}.ts").read_bytes())
    (tmp_path / "a.ts").write_bytes(b"".join(parts))
    for call in (examine, lambda path: list(read_frames(path))):
        with pytest.raises(UserError, match="from 96x64 to 48x32 at frame 6"):
            call(tmp_path / "a.ts")


@pytest.mark.parametrize("code, name", [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused_with_what_to_do(tmp_path, code, name):
    make_clip(tmp_path / "a.mp4", FRAMES[:3], layout="yuv420p10le", tags=(9, 9, code, 1))
    for call in (probe, examine, lambda path: list(read_frames(path))):
        with pytest.raises(UserError, match=rf"HDR video \({name}\).*tone-map it to BT.709"):
            call(tmp_path / "a.mp4")


def test_an_unknown_matrix_is_refused(tmp_path):
    make_clip(tmp_path / "a.mp4", FRAMES[:3], layout="yuv444p", tags=(8, 1, 1, 1))
    with pytest.raises(UserError, match="matrix 8 of ITU-T H.273"):
        list(read_frames(tmp_path / "a.mp4"))


@pytest.mark.parametrize("fps", [float("inf"), float("nan"), 1e-9, 1e9, 0, -1, Fraction(10**7)])
def test_rates_that_no_clip_has_are_refused(tmp_path, fps):
    with pytest.raises(UserError, match="give another rate"):
        VideoWriter(tmp_path / "a.mp4", fps, (16, 16))


def test_names_are_files_never_addresses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "whole.mp4", FRAMES[:4])
    data = (tmp_path / "whole.mp4").read_bytes()
    for name in ("http:x.mp4", "concat:a|b.mp4", "pipe:0.mp4", "data:video.mp4", "file:y.mp4", "a%03d.mp4"):
        (tmp_path / name).write_bytes(data)
        facts = examine(name)
        assert probe(name).frames == facts.info.frames == 4
        with VideoWriter(f"out {name}", 10, facts.size, like=facts) as out:
            for frame in frames_of(facts):
                out.write(frame)
        assert examine(f"out {name}").info.frames == 4
    for name in ("pipe:0", "http://127.0.0.1:9/x.mp4", "concat:whole.mp4|whole.mp4"):
        with pytest.raises(UserError, match="does not exist"):
            probe(name)


@pytest.mark.parametrize(
    "script",
    [
        "ffconcat version 1.0\nfile 'whole.mp4'\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nwhole.mp4\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    ],
)
def test_lists_of_other_files_are_no_clips(tmp_path, script):
    make_clip(tmp_path / "whole.mp4", FRAMES[:4])
    (tmp_path / "a.mp4").write_text(script)
    for call in (probe, examine):
        with pytest.raises(UserError, match="could not be opened as a video"):
            call(tmp_path / "a.mp4")


def test_a_mirrored_and_cut_clip_is_both(whole, tmp_path):
    turned(whole / "a.mp4", tmp_path / "turned.mp4", (-1, 0, 0, 1))
    cut(tmp_path / "turned.mp4", tmp_path / "a.mp4", 0.78)
    facts = examine(tmp_path / "a.mp4")
    said = facts.said()  # and that times have a gap, where the cut took a frame that is shown before the last
    assert [sum(word in note for note in said) for word in ("damaged", "mirrored")] == [1, 1]


def test_a_count_that_only_the_header_claims_is_told(tmp_path):
    """A sample table of MP4 that names 9 samples of which the file ends after 5: stsz says how many."""
    make_clip(tmp_path / "whole.mp4", FRAMES[:9], options={"bf": "0"})
    with av.open(str(tmp_path / "whole.mp4")) as container:
        starts = [packet.pos for packet in container.demux(video=0) if packet.size]
    data = (tmp_path / "whole.mp4").read_bytes()
    assert struct.unpack(">I", data[data.index(b"stsz") + 12 :][:4]) == (9,)
    (tmp_path / "a.mp4").write_bytes(data[: starts[5]])
    assert examine(tmp_path / "a.mp4").damage == "its container announces 9 frames and 5 can be decoded"
    assert probe(tmp_path / "a.mp4").missing == 4
