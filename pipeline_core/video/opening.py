"""Clips are opened here: local files only, by demuxers of video only.

FFmpeg takes a name for an address: http:x.mp4, concat:a|b and pipe:0 may be files' names but would be fetched, joined
and waited for, and a list of other files (ffconcat, HLS) opens whatever it names. So every name goes to FFmpeg as
file:NAME, with the protocol `file` alone, and only containers that hold their own pictures are tried.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import UserError

DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2",
    "matroska,webm",
    "avi",
    "mpegts",
    "mpeg",
    "flv",
    "ogg",
    "asf",
    "mxf",
    "nut",
    "ivf",
    "obu",
    "gif",
    "apng",
    "h264",
    "hevc",
    "m4v",
    "mpegvideo",
    "yuv4mpegpipe",
)
_HDR = {16: "PQ", 18: "HLG"}  # transfer characteristics of ITU-T H.273


def local_name(path: str | os.PathLike) -> str:
    """The name under which FFmpeg opens a local file and nothing else."""
    return f"file:{os.fspath(path)}"


def reason(error: Exception) -> str:
    """What a library's error says, to stand in brackets."""
    return (getattr(error, "strerror", None) or str(error)).strip().rstrip(".")


def open_file(path: str | os.PathLike):
    """A PyAV container for reading, with or without pictures; UserError if it is no file or no such container."""
    import av

    path = Path(path)
    if not path.exists():
        raise UserError(f"The video {path} does not exist: give the path of an existing video file.")
    if not path.is_file():
        raise UserError(f"{path} is not a file: give the path of a video file.")
    options = {"protocol_whitelist": "file", "format_whitelist": ",".join(DEMUXERS)}
    try:
        return av.open(local_name(path), container_options=options)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UserError(
            f"{path} could not be opened as a video ({reason(error)}): give a video file such as an mp4."
        ) from error


def open_clip(path: str | os.PathLike):
    """(container, its video stream) of a clip; UserError if it is no readable video or one of high dynamic range."""
    container = open_file(path)
    try:
        stream = _video_stream(container, path)
        transfer = _HDR.get(stream.codec_context.color_trc)
        if transfer is not None:
            raise UserError(
                f"{path} is HDR video ({transfer}), which the models do not know: tone-map it to BT.709 first, for "
                "instance with FFmpeg's zscale and tonemap filters, and give that clip."
            )
    except UserError:
        container.close()
        raise
    return container, stream


def _video_stream(container, path: str | os.PathLike):
    """The first stream of pictures that is no cover; UserError where there is none that can be decoded."""
    from av.stream import Disposition

    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        raise UserError(f"{path} has no video stream: give a clip with pictures in it.")
    stream = streams[0]
    if stream.codec_context is None:
        raise UserError(f"{path} names no codec that can be decoded, or its header is damaged: save it anew as H.264.")
    stream.thread_type = "AUTO"
    return stream
