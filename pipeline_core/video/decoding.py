"""Packets to frames, whatever the packets are: what libav raises is handed on, not lost and not fatal by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator


def is_shown(packet, stream) -> bool:
    """Does a packet that holds data give a frame: an edit list leaves some out, and VP8 keeps pictures to predict from
    as packets of their own, of which bit 4 of the first byte says whether they are shown (RFC 6386, 9.1)."""
    if packet.is_discard:
        return False
    return stream.codec_context.name not in ("vp8", "libvpx") or bool(bytes(packet)[0] & 0x10)


def decoded(packets: Iterable, stream, on_error: Callable[[Exception], object]) -> Iterator:
    """The frames of a video stream in the order in which they are shown. packets: as its container's demux gives them,
    those of other streams among them.

    on_error gets every error of libav and may raise one of its own; where it does not, the rest is still decoded.
    """
    import av

    packets = iter(packets)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError as error:
            on_error(error)
            packet = None
        if packet is not None and (packet.stream_index != stream.index or not packet.size):
            continue
        try:
            frames = stream.decode(packet)
        except av.FFmpegError as error:
            on_error(error)
            frames = []
        yield from frames
        if packet is None:
            return
