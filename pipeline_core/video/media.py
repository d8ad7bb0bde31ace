"""Video in, video out: a stream of frames from any clip, and an H.264 file that is whole or not there at all.

Colour: frames are R'G'B' in [0, 1] (or uint8); files are written and tagged as BT.709, limited range. A
flat colour survives writing and reading within 2/255. Audio is neither read nor written.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from ..errors import UserError
from .files import atomic_file

# Codes of ITU-T H.273 as FFmpeg numbers them.
_BT709, _UNSPECIFIED, _BT601 = 1, 2, 5
_LIMITED, _FULL = 1, 2
_FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
SUFFIXES = tuple(_FORMATS)  # of clips that can be written


@dataclass(frozen=True)
class VideoInfo:
    """What a clip is: frames counted in the file, frames per second, pixels, seconds."""

    frames: int
    fps: Fraction
    width: int
    height: int
    duration: float


def _interpolation() -> int:
    """Exact rounding and full chroma resolution while converting: without them a flat colour is off by up
    to 3/255."""
    from av.video.reformatter import Interpolation

    return int(
        Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
    )


def _open(path: str | os.PathLike):
    """Open a clip for reading and return (container, video stream); UserError if it is no readable video."""
    import av

    path = Path(path)
    if not path.exists():
        raise UserError(f"The video {path} does not exist: give the path of an existing video file.")
    if not path.is_file():
        raise UserError(f"{path} is not a file: give the path of a video file.")
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UserError(
            f"{path} could not be opened as a video ({_reason(error)}): give a video file such as an mp4."
        ) from error
    if not container.streams.video:
        container.close()
        raise UserError(f"{path} has no video stream: give a clip with pictures in it.")
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    return container, stream


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).strip().rstrip(".")


def probe(path: str | os.PathLike) -> VideoInfo:
    """Look at a clip. Frames are counted packet by packet, because a header may lack the count or be wrong
    about it.

    Raises UserError for a missing file, a file that is no video, a clip without a video stream or without
    frames.
    """
    import av

    container, stream = _open(path)
    with container:
        try:
            frames = sum(1 for packet in container.demux(stream) if packet.size and not packet.is_discard)
        except av.FFmpegError as error:
            raise UserError(f"{path} is damaged ({_reason(error)}): give a video file that plays.") from error
        fps = stream.average_rate or stream.base_rate or stream.guessed_rate
        width, height = stream.codec_context.width, stream.codec_context.height
    if frames == 0 or width == 0 or height == 0:
        raise UserError(f"The video {path} has no frames: give a clip with at least one frame.")
    if not fps:
        raise UserError(f"The video {path} states no frame rate: save it again with a constant frame rate.")
    return VideoInfo(frames, Fraction(fps), width, height, float(frames / Fraction(fps)))


def _to_rgb(frame) -> Tensor:
    """Decode to uint8 RGB by the clip's own tags; untagged clips follow players: BT.601 below 720 lines,
    else 709."""
    colorspace = frame.colorspace
    if colorspace == _UNSPECIFIED:
        colorspace = _BT709 if frame.height >= 720 else _BT601
    full = frame.color_range == _FULL or frame.format.name.startswith("yuvj")
    if frame.format.is_rgb:
        converted = frame.reformat(format="rgb24")
    else:
        converted = frame.reformat(
            format="rgb24",
            src_colorspace=colorspace,
            src_color_range=_FULL if full else _LIMITED,
            dst_color_range=_FULL,
            interpolation=_interpolation(),
        )
    return torch.from_numpy(converted.to_ndarray().copy())


def read_frames(path: str | os.PathLike, start: int = 0, stop: int | None = None) -> Iterator[Tensor]:
    """Yield frames start .. stop - 1 of a clip as uint8 (H, W, 3) tensors, holding one at a time.

    Decodes from the beginning (frame-exact in every file), so read a long clip in one pass. Ends early,
    without an error, where the clip ends. Raises UserError as `probe` does, and when the file breaks off
    while decoding.
    """
    import av

    if start < 0 or (stop is not None and stop < start):
        raise UserError(f"Frames {start} to {stop} were asked of {path}: give 0 <= start <= stop.")
    container, stream = _open(path)
    with container:
        index = 0
        try:
            for frame in container.decode(stream):
                if stop is not None and index >= stop:
                    return
                if index >= start:
                    yield _to_rgb(frame)
                index += 1
        except av.FFmpegError as error:
            raise UserError(
                f"{path} cannot be decoded after {index} frames ({_reason(error)}): give a file that plays."
            ) from error
    if index == 0:
        raise UserError(f"The video {path} has no frames: give a clip with at least one frame.")


def read_clip(path: str | os.PathLike, start: int = 0, stop: int | None = None) -> Tensor:
    """Read a clip, or frames start .. stop - 1 of it, as one (T, H, W, 3) float32 tensor in [0, 1]."""
    frames = list(read_frames(path, start, stop))
    if not frames:
        raise UserError(f"{path} has no frame {start}: ask for frames that are in the clip.")
    return torch.stack(frames).float() / 255


def _to_bytes(frames: Tensor, first: int) -> Tensor:
    """(T, H, W, 3) floats in [0, 1] or uint8 to uint8; refuses NaN and any other range instead of clipping
    it."""
    if frames.dtype == torch.uint8:
        return frames
    if not frames.is_floating_point():
        raise UserError(f"Frames of type {frames.dtype} came: give floats in [0, 1] or uint8.")
    frames = frames.float()
    for offset, frame in enumerate(frames):
        low, high = (float(v) for v in torch.aminmax(frame))
        if not (low >= -1e-3 and high <= 1 + 1e-3):  # a NaN fails both comparisons
            raise UserError(
                f"Frame {first + offset} to be written has values from {low:.3g} to {high:.3g}: give values in [0, 1]."
            )
    return (frames.clamp(0, 1) * 255).round().to(torch.uint8)


def check_suffix(path: Path) -> None:
    """UserError unless clips of that name can be written."""
    if path.suffix.lower() not in _FORMATS:
        known = ", ".join(_FORMATS)
        raise UserError(f"The output {path} does not end in {known}: give an output name that does.")


class VideoWriter:
    """Write an H.264 clip frame by frame: `with VideoWriter(path, fps, (height, width)) as out: out.write(frames)`.

    Constant memory. The frames go to a temporary file in the same folder, which takes the final name only when
    everything succeeded; on any error, or when no frame was written, it is deleted and an older file of that name
    stays as it was. `fps` is any positive rate; a Fraction is kept exactly.

    Even sizes are stored as yuv420p, which every player shows; an odd width or height as yuv444p, because 4:2:0 has
    no odd sizes and the output keeps the size of its input. `full_chroma` stores yuv444p at any size: for clips to
    compute with, because halving the chroma of a saturated 96x160 render leaves 27 dB of it, against 39 dB; many
    players and browsers do not show it.

    Raises UserError for a missing folder, an unknown suffix, wrong sizes, values outside [0, 1] and an empty clip.
    """

    def __init__(
        self, path: str | os.PathLike, fps: Fraction | float, size: tuple[int, int], full_chroma: bool = False
    ) -> None:
        self.path, self.frames, self.full_chroma = Path(path), 0, full_chroma
        self.height, self.width = size
        if not 0 < fps < math.inf:
            raise UserError(f"A frame rate of {fps} came: give one above 0.")
        self.fps = Fraction(fps).limit_denominator(1_000_000)
        check_suffix(self.path)
        if not self.path.parent.is_dir():
            raise UserError(f"The output folder {self.path.parent} does not exist: create it first.")
        if self.path.is_dir():
            raise UserError(f"The output {self.path} is a folder: give a file name.")
        if self.fps == 0:
            raise UserError(f"A frame rate of {fps} came: give one of at least 0.000001.")
        if self.height < 1 or self.width < 1:
            raise UserError(f"A frame size of {self.height}x{self.width} came: give at least 1x1.")
        self._container = None

    def __enter__(self) -> VideoWriter:
        import av

        suffix = self.path.suffix.lower()
        options = {"movflags": "+faststart"} if suffix != ".mkv" else {}
        with ExitStack() as stack:
            try:
                unfinished = stack.enter_context(atomic_file(self.path))
                self._container = av.open(str(unfinished), "w", format=_FORMATS[suffix], options=options)
            except (av.FFmpegError, OSError) as error:
                raise UserError(
                    f"{self.path} cannot be written ({_reason(error)}): choose a folder you may write to."
                ) from error
            stack.push(self._close)
            self._leave = stack.pop_all()
        stream = self._container.add_stream("libx264", rate=self.fps)
        stream.width, stream.height = self.width, self.height
        even = self.width % 2 == 0 and self.height % 2 == 0
        stream.pix_fmt = "yuv420p" if even and not self.full_chroma else "yuv444p"
        # Without mbtree: with it, equal frames now and then give another file where the picture is small.
        stream.options = {"crf": "12", "preset": "medium", "x264-params": "mbtree=0"}
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        self._stream = stream
        return self

    def write(self, frames: Tensor) -> None:
        """Append one frame (H, W, 3) or several (T, H, W, 3): floats in [0, 1] or uint8."""
        import av

        frames = frames[None] if frames.dim() == 3 else frames
        if frames.dim() != 4 or tuple(frames.shape[1:]) != (self.height, self.width, 3):
            raise UserError(
                f"Frames of shape {tuple(frames.shape)} came for {self.path}: give (T, {self.height}, {self.width}, 3)."
            )
        for array in _to_bytes(frames.detach().cpu(), self.frames).contiguous().numpy():
            frame = av.VideoFrame.from_ndarray(array, format="rgb24").reformat(
                format=self._stream.pix_fmt,
                dst_colorspace=_BT709,
                src_color_range=_FULL,
                dst_color_range=_LIMITED,
                interpolation=_interpolation(),
            )
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
            self.frames += 1

    def __exit__(self, kind, error, trace) -> None:
        self._leave.__exit__(kind, error, trace)  # closes the container, then the file takes its name

    def _close(self, kind, error, trace) -> None:
        try:
            if kind is None and self.frames == 0:
                raise UserError(f"No frame was given for {self.path}: give a clip with at least one frame.")
            if kind is None:
                for packet in self._stream.encode():
                    self._container.mux(packet)
        finally:
            self._container.close()


def write_clip(
    path: str | os.PathLike, frames: Tensor | Iterable[Tensor], fps: Fraction | float, full_chroma: bool = False
) -> None:
    """Write a (T, H, W, 3) tensor, or an iterable of (H, W, 3) frames, as an H.264 clip (see `VideoWriter`)."""
    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise UserError(f"No frame was given for {path}: give a clip with at least one frame.")
    with VideoWriter(path, fps, (first.shape[0], first.shape[1]), full_chroma) as out:
        out.write(first)
        for frame in iterator:
            out.write(frame)
