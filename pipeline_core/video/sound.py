"""The sound of a clip, copied into another file packet by packet: no bit of it is coded anew."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING

from ..errors import UserError
from .opening import open_file

if TYPE_CHECKING:
    from .facts import ClipFacts


class SoundCopy:
    """Streams of sound on their way from a clip into an open output container, at their own times.

    Make it before the output's first packet. codecs: of what is copied, one a stream; left_out: of what the output's
    container does not take. `until` copies what belongs before a moment, so that neither file is held in memory.
    """

    def __init__(self, facts: ClipFacts, output, lenient: bool = False) -> None:
        self._facts, self._output, self._lenient = facts, output, lenient
        self._source = open_file(facts.path)
        self._targets, self.codecs, self.left_out = {}, [], []
        self._copied, self._waiting = 0, None
        for stream in self._source.streams.audio:
            codec = stream.codec_context.name if stream.codec_context is not None else "unknown"
            try:
                target = output.add_stream_from_template(stream)
            except (ValueError, AttributeError):  # AttributeError: a stream without a codec
                self.left_out.append(codec)
                continue
            target.time_base = stream.time_base
            if "language" in stream.metadata:
                target.metadata["language"] = stream.metadata["language"]
            target.disposition = stream.disposition
            self._targets[stream.index] = target
            self.codecs.append(codec)
        streams = [self._source.streams[index] for index in self._targets]
        self._packets = self._source.demux(streams) if streams else iter(())

    def until(self, moment: Fraction | None) -> None:
        """Copy what comes up to a moment, in seconds; with None, all the rest. UserError where the file has lost some
        of it since it was looked at, unless lenient."""
        while (packet := self._next()) is not None:
            if moment is not None and packet.dts is not None and packet.dts * packet.time_base > moment:
                self._waiting = packet
                return
            packet.stream = self._targets[packet.stream.index]
            self._output.mux(packet)
            self._copied += 1
        if moment is None and not self._lenient:
            announced = sum(self._facts.sound.get(index, 0) for index in self._targets)
            if self._copied < announced:
                raise UserError(
                    f"The sound of {self._facts.path} ended after {self._copied} of {announced} packets, so the file "
                    "has changed since the job began: start again with a whole one."
                )

    def _next(self):
        """The next whole packet, None where there is no more."""
        import av

        if self._waiting is not None:
            packet, self._waiting = self._waiting, None
            return packet
        with suppress(av.FFmpegError):  # a cut file: what is missing is counted in the end
            for packet in self._packets:
                if packet.size and not packet.is_corrupt:
                    return packet
        return None

    def close(self) -> None:
        self._source.close()
