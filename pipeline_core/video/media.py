"""Video in, video out: a stream of frames from any clip, and an H.264 file that is whole or not there at all.

Colour: frames are R'G'B' in [0, 1] (or uint8); files are written and tagged as BT.709, limited range, unless they are
to be like another clip (see facts.py). A flat colour survives writing and reading within 2/255.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..doors.limits import RATES
from ..errors import UserError
from .colour import Colour, from_rgb, to_rgb
from .decoding import decoded, is_shown
from .files import atomic_file
from .kept import not_kept
from .opening import local_name, open_clip, reason
from .sound import SoundCopy
from .upright import turn_of

if TYPE_CHECKING:
    from .facts import ClipFacts

_FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
SUFFIXES = tuple(_FORMATS)  # of clips that can be written


@dataclass(frozen=True)
class VideoInfo:
    """What a clip is: frames counted in the file, frames per second, pixels of the upright frame, seconds.

    missing: frames that the header announces beyond those in the file.
    """

    frames: int
    fps: Fraction
    width: int
    height: int
    duration: float
    missing: int = 0


def check_rate(fps: Fraction | float | None, who: str, remedy: str) -> None:
    """UserError for a frame rate that no clip has. who: what came with it, a sentence's beginning."""
    low, high = RATES
    if not fps:
        raise UserError(f"{who} no frame rate: {remedy}.")
    if not low <= fps <= high:  # NaN and infinity fail it too
        raise UserError(f"{who} {float(fps):g} frames a second, outside {float(low):g} to {float(high):g}: {remedy}.")


def one_size(stored: tuple[int, int], frame, index: int, path: str | os.PathLike) -> None:
    """UserError for a decoded frame that is not of the clip's first (height, width)."""
    if (frame.height, frame.width) != stored:
        raise UserError(
            f"{path} changes its size from {stored[1]}x{stored[0]} to {frame.width}x{frame.height} at frame {index}: "
            "give clips of one size, cut there."
        )


def probe(path: str | os.PathLike) -> VideoInfo:
    """Look at a clip. Frames are counted packet by packet, because a header may lack the count or be wrong
    about it.

    Raises UserError for a missing file, a file that is no video, a clip without a video stream or without
    frames.
    """
    import av

    container, stream = open_clip(path)
    with container:
        frames, packets, first = 0, 0, None
        try:
            for packet in container.demux(stream):
                packets += packet.size > 0
                frames += packet.size > 0 and is_shown(packet, stream)
                if first is None:
                    first = _first(stream, packet)
        except av.FFmpegError as error:
            raise UserError(f"{path} is damaged ({reason(error)}): give a video file that plays.") from error
        fps = stream.average_rate or stream.base_rate or stream.guessed_rate
        height, width = stream.codec_context.height, stream.codec_context.width
        if first is not None:
            height, width = turn_of(first).size(first.height, first.width)
        missing = max(0, stream.frames - packets)
    if frames == 0 or width == 0 or height == 0:
        raise UserError(f"The video {path} has no frames: give a clip with at least one frame.")
    check_rate(fps, f"The video {path} states", "save it again with a constant frame rate")
    return VideoInfo(frames, Fraction(fps), width, height, float(frames / Fraction(fps)), missing)


def _first(stream, packet):
    """The first frame of a stream, where this packet completes it."""
    import av

    try:
        return next(iter(stream.decode(packet)), None)
    except av.FFmpegError:  # told where the frames are wanted
        return None


def read_frames(path: str | os.PathLike, start: int = 0, stop: int | None = None) -> Iterator[Tensor]:
    """Yield frames start .. stop - 1 of a clip, upright, as uint8 (H, W, 3) tensors, holding one at a time.

    Decodes from the beginning (frame-exact in every file), so read a long clip in one pass. Ends early,
    without an error, where the clip ends. Raises UserError as `probe` does, when the file breaks off
    while decoding, and when frames change their size.
    """
    if start < 0 or (stop is not None and stop < start):
        raise UserError(f"Frames {start} to {stop} were asked of {path}: give 0 <= start <= stop.")
    container, stream = open_clip(path)
    index = 0

    def broken(error: Exception) -> None:
        raise UserError(
            f"{path} cannot be decoded after {index} frames ({reason(error)}): give a file that plays."
        ) from error

    with container:
        stored = turn = None
        for frame in decoded(container.demux(stream), stream, broken):
            if stop is not None and index >= stop:
                return
            if turn is None:
                stored, turn = (frame.height, frame.width), turn_of(frame)
            one_size(stored, frame, index, path)
            if index >= start:
                yield turn.apply(to_rgb(frame, path))
            index += 1
    if index == 0:
        raise UserError(f"The video {path} has no frames: give a clip with at least one frame.")


def read_clip(path: str | os.PathLike, start: int = 0, stop: int | None = None) -> Tensor:
    """Read a clip, or frames start .. stop - 1 of it, as one (T, H, W, 3) float32 tensor in [0, 1]."""
    frames = list(read_frames(path, start, stop))
    if not frames:
        raise UserError(f"{path} has no frame {start}: ask for frames that are in the clip.")
    return torch.stack(frames).float() / 255


def _to_codes(frames: Tensor, first: int, deep: bool) -> Tensor:
    """(T, H, W, 3) floats in [0, 1] or uint8 to uint8, or to int32 of 16 bits with `deep`; refuses NaN and any other
    range instead of clipping it."""
    if frames.dtype == torch.uint8:
        return frames.to(torch.int32) * 257 if deep else frames
    if not frames.is_floating_point():
        raise UserError(f"Frames of type {frames.dtype} came: give floats in [0, 1] or uint8.")
    frames = frames.float()
    for offset, frame in enumerate(frames):
        low, high = (float(v) for v in torch.aminmax(frame))
        if not (low >= -1e-3 and high <= 1 + 1e-3):  # a NaN fails both comparisons
            raise UserError(
                f"Frame {first + offset} to be written has values from {low:.3g} to {high:.3g}: give values in [0, 1]."
            )
    whole = (frames.clamp(0, 1) * (65535 if deep else 255)).round()
    return whole.to(torch.int32 if deep else torch.uint8)


def check_suffix(path: Path) -> None:
    """UserError unless clips of that name can be written."""
    if path.suffix.lower() not in _FORMATS:
        known = ", ".join(_FORMATS)
        raise UserError(f"The output {path} does not end in {known}: give an output name that does.")


class VideoWriter:
    """Write an H.264 clip frame by frame: `with VideoWriter(path, fps, (height, width)) as out: out.write(frames)`.

    Constant memory. The frames go to a temporary file in the same folder, which takes the final name only when
    everything succeeded; on any error, or when no frame was written, it is deleted and an older file of that name
    stays as it was. `fps` is any rate in RATES; a Fraction is kept exactly.

    Even sizes are stored as yuv420p, which every player shows; an odd width or height as yuv444p, because 4:2:0 has
    no odd sizes and the output keeps the size of its input. `full_chroma` stores yuv444p at any size: for clips to
    compute with, because halving the chroma of a saturated 96x160 render leaves 27 dB of it, against 39 dB; many
    players and browsers do not show it.

    like: the clip that the frames were made of, which gives its times, colour tags, 10 bits, pixel shape and sound;
    `notes` then has a sentence on everything that the file does not keep. lenient: it may have changed meanwhile, and
    its sound may break off.

    Raises UserError for a missing folder, an unknown suffix, wrong sizes, values outside [0, 1] and an empty clip, and
    at the end for a clip `like` that is no longer what it was.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        fps: Fraction | float,
        size: tuple[int, int],
        full_chroma: bool = False,
        like: ClipFacts | None = None,
        lenient: bool = False,
    ) -> None:
        self.path, self.frames, self.full_chroma = Path(path), 0, full_chroma
        self.height, self.width = size
        self.notes: list[str] = []
        self._like, self._lenient, self._sound = like, lenient, None
        check_suffix(self.path)
        if not self.path.parent.is_dir():
            raise UserError(f"The output folder {self.path.parent} does not exist: create it first.")
        if self.path.is_dir():
            raise UserError(f"The output {self.path} is a folder: give a file name.")
        check_rate(fps, f"For {self.path} came", "give another rate")
        self.fps = Fraction(fps).limit_denominator(1_000_000)
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
                self._container = av.open(local_name(unfinished), "w", format=_FORMATS[suffix], options=options)
            except (av.FFmpegError, OSError) as error:
                raise UserError(
                    f"{self.path} cannot be written ({reason(error)}): choose a folder you may write to."
                ) from error
            stack.push(self._close)
            self._add_video()
            if self._like is not None:
                self._sound = SoundCopy(self._like, self._container, self._lenient)
                self.notes += not_kept(self._like, suffix, self._sound.left_out, self._deep)
            self._leave = stack.pop_all()
        return self

    def _add_video(self) -> None:
        like, stream = self._like, self._container.add_stream("libx264", rate=self.fps)
        stream.width, stream.height = self.width, self.height
        even = self.width % 2 == 0 and self.height % 2 == 0
        layout = "yuv420p" if even and not self.full_chroma else "yuv444p"
        self._deep = like is not None and like.bits > 8 and f"{layout}10le" in _layouts(stream)
        stream.pix_fmt = f"{layout}10le" if self._deep else layout
        # Without mbtree: with it, equal frames now and then give another file where the picture is small.
        stream.options = {"crf": "12", "preset": "medium", "x264-params": "mbtree=0"}
        if like is not None and not like.steady:
            # MP4 times a frame by the next in the file: with B-frames, which reorder, the clip's end would be off.
            stream.options |= {"bf": "0"}
        context = stream.codec_context
        self._colour = Colour() if like is None else like.colour
        self._colour.tag(context)
        if like is not None:
            context.time_base = stream.time_base = like.time_base
            context.sample_aspect_ratio = like.pixel_aspect
        self._stream = stream

    @property
    def sound(self) -> list[str]:
        """Codecs of the sound that is copied, one a stream."""
        return [] if self._sound is None else self._sound.codecs

    def write(self, frames: Tensor) -> None:
        """Append one frame (H, W, 3) or several (T, H, W, 3): floats in [0, 1] or uint8."""
        frames = frames[None] if frames.dim() == 3 else frames
        if frames.dim() != 4 or tuple(frames.shape[1:]) != (self.height, self.width, 3):
            raise UserError(
                f"Frames of shape {tuple(frames.shape)} came for {self.path}: give (T, {self.height}, {self.width}, 3)."
            )
        for codes in _to_codes(frames.detach().cpu(), self.frames, self._deep):
            array = codes.contiguous().numpy().astype("uint16" if self._deep else "uint8")
            frame = from_rgb(array, self._stream.pix_fmt, self._colour)
            if self._like is not None:
                frame.pts, frame.time_base = self._like.times[self.frames], self._like.time_base
            self._mux(self._stream.encode(frame))
            self.frames += 1

    def _mux(self, packets: Iterable) -> None:
        for packet in packets:
            if self._sound is not None:
                packet.duration = self._like.shown(packet.pts)
                self._sound.until(packet.dts * packet.time_base)
            self._container.mux(packet)

    def __exit__(self, kind, error, trace) -> None:
        self._leave.__exit__(kind, error, trace)  # closes the container, then the file takes its name

    def _close(self, kind, error, trace) -> None:
        try:
            if kind is None and self.frames == 0:
                raise UserError(f"No frame was given for {self.path}: give a clip with at least one frame.")
            if kind is None:
                self._mux(self._stream.encode())
                if self._sound is not None:
                    self._sound.until(None)
                if self._like is not None and not self._lenient:
                    self._like.original.refuse_change(self._like.path)
        finally:
            self._container.close()
            if self._sound is not None:
                self._sound.close()


def _layouts(stream) -> set[str]:
    return {layout.name for layout in stream.codec_context.codec.video_formats}


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
