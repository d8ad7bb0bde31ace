"""Clips as cameras, phones and recorders write them, made with PyAV: what the tests of video in and out start from."""

import struct
from fractions import Fraction

import av
import numpy as np

RATE = 48000  # of the sound


def pictures(count, height, width, levels=256, seed=0):
    """(T, H, W, 3) smooth pictures that move, each another, as whole numbers below `levels`; the corners differ."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    t = np.arange(count)[:, None, None] / 10 + seed
    waves = [np.sin(3 * x + t), np.cos(4 * y - t), np.sin(5 * (x + y) + 2 * t)]
    return np.stack([(0.5 + 0.4 * wave + 0.08 * (x < 0.25) * (y < 0.25)) * (levels - 1) for wave in waves], -1).astype(
        int
    )


def make_clip(
    path, frames, times=None, time_base=Fraction(1, 1000), layout="yuv420p", codec="libx264", tags=(1, 1, 1, 1),
    sound=None, sound_from=0, late=0, options=None, aspect=None, matrix=1, full=False,
):  # fmt: skip
    """Write (T, H, W, 3) pictures, uint8 or uint16 over its whole range. times: of each, in time_base, default: 24 a
    second. tags: the codes of H.264 (matrix, primaries, transfer, range). sound: a codec, of noise that is as long as
    the pictures, from `sound_from` samples on. late: time added to the pictures."""
    count, height, width = frames.shape[:3]
    if times is None:
        time_base, times = Fraction(1, 24), range(count)
    with av.open(f"file:{path}", "w", options={"movflags": "+faststart"} if str(path).endswith("mp4") else {}) as out:
        stream = out.add_stream(codec, rate=24)
        stream.width, stream.height, stream.pix_fmt = width, height, layout
        stream.options = {"crf": "4", **(options or {})} if codec == "libx264" else options or {}
        context = stream.codec_context
        context.time_base = stream.time_base = time_base
        if codec == "libx264":
            context.colorspace, context.color_primaries, context.color_trc, context.color_range = tags
        if aspect:
            context.sample_aspect_ratio = aspect
        heard = out.add_stream(sound, rate=RATE) if sound else None
        for picture, time in zip(frames, times):
            kind = "rgb48le" if frames.dtype == np.uint16 else "rgb24"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=kind)
            if not layout.startswith(("rgb", "gbr", "bgr")):
                frame = frame.reformat(
                    format=layout, dst_colorspace=matrix, src_color_range=2, dst_color_range=2 if full else 1
                )
            frame.pts, frame.time_base = time + late, time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
        if heard is not None:
            seconds = float((times[-1] - times[0]) * time_base)
            play(out, heard, int(seconds * RATE) + 4800, sound_from)


def play(out, stream, samples, first=0):
    """Noise, in blocks of the codec's own size."""
    random, fifo = np.random.default_rng(0), av.AudioFifo()
    layout = stream.codec_context.format.name if stream.codec_context.format else "fltp"
    frame = av.AudioFrame.from_ndarray(
        (random.standard_normal((1, samples)) * 3000).astype(np.int16), format="s16", layout="mono"
    )
    frame.sample_rate = RATE
    resample = av.AudioResampler(format=layout, layout=stream.codec_context.layout.name, rate=RATE)
    for part in resample.resample(frame):
        part.pts = None
        fifo.write(part)
    at, size = first, stream.codec_context.frame_size or 1024
    while (part := fifo.read(size, partial=True)) is not None:
        part.pts, part.time_base, part.sample_rate = at, Fraction(1, RATE), RATE
        at += part.samples
        out.mux(stream.encode(part))
    out.mux(stream.encode())


def turned(source, target, matrix):
    """A copy of an MP4 whose picture track has another display matrix: its entries a b c d, written over the file's own
    (ISO 14496-12, 8.3.2: 40 bytes into the first track's header)."""
    data, (a, b, c, d) = bytearray(source.read_bytes()), matrix
    at = data.index(b"tkhd") + 4 + 40
    entries = (a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    data[at : at + 36] = struct.pack(">9i", *entries)
    target.write_bytes(data)


def packets(path, kind):
    """[(bytes, time in seconds, duration in seconds)] of the first stream of a kind, in the order of the file."""
    with av.open(f"file:{path}") as container:
        stream = next(s for s in container.streams if s.type == kind)
        found = [p for p in container.demux(stream) if p.size]
        return [(bytes(p), p.pts * p.time_base, (p.duration or 0) * p.time_base) for p in found]


def times(path):
    """When each picture is shown, in seconds, as decoded."""
    with av.open(f"file:{path}") as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]
