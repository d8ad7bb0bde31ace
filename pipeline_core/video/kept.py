"""What a result does not keep of its clip, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .facts import ClipFacts


def not_kept(facts: ClipFacts, suffix: str, sound: Iterable[str], deep: bool) -> Iterator[str]:
    """suffix: of the result's name. sound: codecs that its container does not take. deep: is it written in 10 bits."""
    if sound:
        hint = "choose an output ending in .mkv to keep it" if suffix != ".mkv" else "it would have to be coded anew"
        yield f"The result lacks the clip's sound in {' and '.join(sound)}, which {suffix} does not take: {hint}."
    if facts.bits > 8:
        if not deep:
            yield f"The clip has {facts.bits} bits and the result 8: this build of x264 writes no more."
        elif facts.bits > 10:
            yield f"The clip has {facts.bits} bits and the result 10, the most that H.264 players show."
    height, width = facts.size
    if height % 2 or width % 2:
        yield (
            f"The odd size of {width}x{height} is kept by storing the result as 4:4:4, which VLC, mpv and Chrome show "
            "and some players do not."
        )
    elif not facts.subsampled:
        yield "The clip is 4:4:4 or RGB and the result 4:2:0, one colour for four pixels, which every player shows."
    if suffix == ".mkv" and any(time * facts.time_base * 1000 % 1 for time in facts.times):
        yield "Matroska keeps the frames' times to the millisecond."
