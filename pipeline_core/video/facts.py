"""What a clip is beside its pictures, found in one pass over all of it: times, colours, turn, sound, and whether it is
whole. The pass costs one decoding, little beside what a model does with the frames, and is made before that."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from torch import Tensor

from ..errors import UserError
from .colour import Colour, colour_of, depth_of, is_tagged, to_rgb
from .decoding import decoded, is_shown
from .lengths import missing_bytes
from .media import VideoInfo, check_rate, one_size
from .opening import open_clip, reason
from .original import Original
from .upright import turn_of

_TRUSTED_COUNT = "mov,mp4,m4a,3gp,3g2,mj2"  # whose header has one entry a frame


@dataclass(frozen=True, eq=False)
class ClipFacts:
    """What a result keeps of the clip it is made from.

    original: the file, to tell whether it changed since. info: as `probe`, of the frames that can be decoded, upright.
    times: of every frame, strictly increasing, and last: how long the last one is shown, in units of time_base
    (seconds). bits: of a component. subsampled: are there fewer samples of chroma than pixels. pixel_aspect: width by
    height. sound: stream -> packets. damage: what is missing, a clause, "" for a whole file. notes: sentences on what
    is read in a way that a person should know of.
    """

    path: Path
    original: Original
    info: VideoInfo
    times: array
    last: int
    time_base: Fraction
    colour: Colour
    bits: int = 8
    subsampled: bool = True
    pixel_aspect: Fraction = Fraction(1)
    sound: dict[int, int] = field(default_factory=dict)
    damage: str = ""
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the upright frames."""
        return self.info.height, self.info.width

    @property
    def steady(self) -> bool:
        """Is every frame shown equally long, to the rounding of the times."""
        steps = [b - a for a, b in zip(self.times, self.times[1:])]
        return not steps or max(steps) - min(steps) <= 1

    def shown(self, time: int) -> int:
        """How long the frame of that time is shown, in units of time_base."""
        after = bisect_right(self.times, time)
        return self.times[after] - time if after < len(self.times) else self.last

    def said(self) -> list[str]:
        """The notes, and the damage where there is some, as sentences."""
        broken = [f"The clip is damaged and was accepted: {self.damage}."] if self.damage else []
        return broken + list(self.notes)

    def refuse_damage(self, remedy: str) -> None:
        """UserError for a clip that is not whole. remedy: what to do, beside giving the whole file."""
        if self.damage:
            raise UserError(f"{self.path} is damaged: {self.damage}; give the whole file{remedy}.")


@dataclass
class _Count:
    """What goes by while the packets of a clip are decoded."""

    packets: Counter = field(default_factory=Counter)  # stream -> packets of any kind
    expected: int = 0  # packets of the video that should each give a frame
    final: tuple[int, int] = (0, 0)  # (time, duration) of the last packet of the video
    corrupt: int = 0
    errors: list[str] = field(default_factory=list)

    def over(self, packets: Iterable, video) -> Iterator:
        """The same packets, counted."""
        for packet in packets:
            if packet.size:
                self._see(packet, video)
            yield packet

    def _see(self, packet, video) -> None:
        index, time = packet.stream_index, packet.pts if packet.pts is not None else packet.dts
        self.corrupt += packet.is_corrupt
        self.packets[index] += not packet.is_corrupt or index == video.index
        if index == video.index and is_shown(packet, video):
            self.expected += 1
            if time is not None:
                self.final = time, packet.duration or 0


def examine(path: str | os.PathLike) -> ClipFacts:
    """Read a clip to its end and say what it is. Memory: eight bytes a frame.

    Raises UserError for what is no readable video or HDR, frames that change their size midway, and a rate that no
    clip has; damage is told in the facts.
    """
    container, stream = open_clip(path)
    original = Original.of(path)
    with container:
        count, times, first, corrupt, interlaced = _Count(), array("q"), None, 0, False
        timed = True
        for frame in decoded(count.over(container.demux(), stream), stream, lambda e: count.errors.append(reason(e))):
            first = first or _First(frame, stream)
            one_size(first.stored, frame, len(times), path)
            timed = timed and frame.pts is not None and (not times or frame.pts > times[-1])
            times.append(frame.pts if timed else len(times))
            corrupt, interlaced = corrupt + bool(frame.is_corrupt), interlaced or frame.interlaced_frame
        if first is None:
            raise UserError(f"The video {path} has no frames that can be decoded: give a clip that plays.")
        damage = _damage(container, stream, count, len(times), corrupt, interlaced)
        fps, time_base = stream.average_rate or stream.base_rate or stream.guessed_rate, stream.time_base
        sound = {s.index: count.packets[s.index] for s in container.streams.audio}
        notes = [*first.notes(stream, interlaced), *_left_out(container, stream)]
        stated_end = (stream.start_time or 0) + (stream.duration or 0)
    check_rate(fps, f"The video {path} states", "save it again with a constant frame rate")
    last = _last_shown(times, count.final, stated_end, 1 / Fraction(fps) / time_base)
    if not timed:
        times, last, time_base = array("q", range(len(times))), 1, 1 / Fraction(fps)
        notes.append(f"The clip does not say when its frames are shown: they were taken as {float(fps):g} a second.")
    info = VideoInfo(len(times), Fraction(fps), *first.upright, float((times[-1] - times[0] + last) * time_base))
    facts = ClipFacts(Path(path), original, info, times, last, time_base, first.colour, first.bits, first.subsampled)
    facts = replace(facts, pixel_aspect=first.pixel_aspect, sound=sound, damage=damage, notes=tuple(notes))
    if not facts.steady:
        facts = replace(facts, notes=(*notes, "The clip's frame rate varies: every frame kept its time."))
    return facts


class _First:
    """What the first frame says of all."""

    def __init__(self, frame, stream):
        self.turn, self.stored = turn_of(frame), (frame.height, frame.width)
        height, width = self.turn.size(*self.stored)
        self.upright = width, height
        self.colour, self.bits = colour_of(frame, stream.codec_context), depth_of(frame)
        self.tagged, self.lines = is_tagged(frame), frame.height
        chroma = frame.format.components[1:3]
        self.subsampled = all(part.width < frame.width or part.height < frame.height for part in chroma)
        aspect = Fraction(stream.codec_context.sample_aspect_ratio or 1)
        self.pixel_aspect = 1 / aspect if self.turn.transpose else aspect

    def notes(self, stream, interlaced: bool) -> Iterator[str]:
        if self.turn:
            yield f"The clip's frames are stored on their side or mirrored: they were {self.turn.in_words()}, upright."
        if self.turn.oblique:
            yield "The clip asks to be turned by an angle that is no quarter turn: its frames were left as stored."
        if not self.tagged:
            guess = "BT.709" if self.lines >= 720 else "BT.601"
            yield f"The clip does not say how its colours are coded: they were read as {guess}, as players do."
        if self.colour.primaries == 9:
            yield "The clip's colours are of wide gamut (BT.2020): the model took them for BT.709 and saw them paler."
        if interlaced:
            yield "The clip is interlaced: its two fields were taken as one frame, and the result is progressive."


def _last_shown(times: array, final: tuple[int, int], end: int, step: Fraction) -> int:
    """How long the last frame is shown. final: (time, duration) of the last packet; end: of the stream, as stated.

    In MP4 a packet's duration is the way to the next in the file, which is the next one shown only without B-frames.
    """
    if final[0] == times[-1] and final[1] > 0:
        return final[1]
    return end - times[-1] if end > times[-1] else max(1, round(step))


def _left_out(container, stream) -> Iterator[str]:
    """A sentence on the streams that have no place in a result."""
    others = Counter(s.type for s in container.streams if s.type != "audio" and s.index != stream.index)
    if others:
        what = " and ".join(f"{number} {kind} stream{'s' if number > 1 else ''}" for kind, number in others.items())
        yield f"The result does not have the clip's {what}: only pictures and sound are carried over."


def _damage(container, stream, count: _Count, frames: int, corrupt: int, interlaced: bool) -> str:
    """What a clip has lost: its container announces more frames than can be decoded, or more bytes than there are."""
    held = count.packets[stream.index]
    expected = count.expected
    if container.format.name == _TRUSTED_COUNT:
        expected += max(0, stream.frames - held)
    if interlaced and expected in (2 * frames, 2 * frames - 1):
        expected = frames  # a packet holds a field
    if frames < expected:
        return f"its container announces {expected} frames and {frames} can be decoded"
    if corrupt or count.corrupt:
        return f"{max(corrupt, count.corrupt)} of its packets are cut or broken"
    if count.errors:
        return f"reading it failed ({count.errors[0]})"
    if lost := missing_bytes(container.name.removeprefix("file:")):
        return f"its header announces {lost} bytes more than there are"
    return ""


def frames_of(facts: ClipFacts, lenient: bool = False) -> Iterator[Tensor]:
    """The frames of a clip that was examined, upright, uint8 or, of more than 8 bits, float16 (H, W, 3).

    UserError where they are fewer than there were, so that a file which shrinks meanwhile is noticed; with lenient
    only the end comes earlier. What was damaged from the start is passed over as `examine` did.
    """
    container, stream = open_clip(facts.path)
    index = 0
    with container:
        stored = turn = None
        for frame in decoded(container.demux(stream), stream, lambda error: None):
            if turn is None:
                stored, turn = (frame.height, frame.width), turn_of(frame)
            one_size(stored, frame, index, facts.path)
            yield turn.apply(to_rgb(frame, facts.path, deep=True))
            index += 1
            if index == facts.info.frames:
                break
    if index < facts.info.frames and not lenient:
        raise UserError(
            f"{facts.path} ended after {index} of {facts.info.frames} frames, so the file has changed since the job "
            "began: start again with a whole one."
        )
