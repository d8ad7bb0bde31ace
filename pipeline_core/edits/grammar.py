"""Paired prompts by a grammar: what can be changed in a caption, and how one says so.

It knows the world's own captions (world/captions.py) and the sentences in which looks are named to larger models
(perception/captions.py); of a caption that speaks of no look it takes the look for open and names one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from random import Random
from typing import NamedTuple

from ..errors import UserError
from ..perception.captions import LOOKS
from ..world.captions import LOOK_PHRASES, PHOTOREAL_PHRASES, SYNTHETIC_PHRASES
from ..world.scene import AREAS
from .triples import Triple

_SYNTHETIC = "synthetic"
_SUN = "sun from the "  # said of captions in day or synthetic light alone
_INSTRUCTIONS = {
    "day": ("make it a clear sunny day", "change it to daytime", "let the sun shine", "turn it into a sunny day"),
    "dusk": ("make it dusk", "change the time of day to sunset", "let the sun go down", "turn it into an evening"),
    "night": ("make it night", "change it to nighttime", "turn off the daylight", "turn it into a night drive"),
    "rain": ("make it rain", "change the weather to rain", "let it rain", "turn it into a rainy day"),
    "fog": ("make it foggy", "change the weather to fog", "add thick fog", "let fog roll in"),
    "snow": ("make it snow", "change the weather to winter", "cover everything with snow", "turn it into a snowy day"),
}
_TO_REAL = ("make it look real", "turn it into a real video", "make it photorealistic", "make it a dashcam recording")
_TO_RENDER = ("make it a video game", "turn it into a computer render", "make it look synthetic")
_THINGS = {("car", "cars"), ("pedestrian", "pedestrians"), ("cyclist", "cyclists")}
_COUNTS = {  # the count after the edit -> how it is asked for
    "no": ("remove all {many}", "take the {many} away", "make the road empty of {many}"),
    "one": ("leave a single {one}", "show just one {one}"),
    "several": ("add some {many}", "put a few {many} there"),
    "many": ("add many {many}", "fill the street with {many}", "make it crowded with {many}"),
}
_NO_LIGHTS, _CROSSING = "no traffic lights", "a crossing with traffic lights"
_LIGHTS = {
    _NO_LIGHTS: (_CROSSING, ("add a crossing with traffic lights", "put up traffic lights")),
    _CROSSING: (_NO_LIGHTS, ("remove the traffic lights", "take the traffic lights away")),
}
_PLACES = ("move it to a {place}", "change the place to a {place}", "turn the street into a {place}")


class _Look(NamedTuple):
    name: str
    phrase: str
    sentence: bool  # in the words for larger models


def caption_in_style(description: str, style: str, rng: Random) -> str:
    """A caption of the world's kind: a wording of one of world.STYLES, then the scene's description."""
    if style == _SYNTHETIC:
        return ", ".join([rng.choice(SYNTHETIC_PHRASES), description])
    look = style.partition(".")[2] or "day"
    phrases = [rng.choice(PHOTOREAL_PHRASES), rng.choice(LOOK_PHRASES[look])]
    return _in_light(", ".join([*phrases, description]), look)


def caption_in_look(description: str, look: str) -> str:
    """A description in whole sentences, for larger models, with that of one of perception.captions.LOOKS."""
    return f"{description.rstrip('. ')}. {LOOKS[look].sentence}"


def instruction_between(before: str, after: str, rng: Random) -> str:
    """How one asks for one of world.STYLES where another is."""
    if after == _SYNTHETIC:
        return rng.choice(_TO_RENDER)
    look = after.partition(".")[2] or "day"
    if before != _SYNTHETIC:
        return rng.choice(_INSTRUCTIONS[look])
    asked = rng.choice(_TO_REAL)
    return asked if look == "day" else f"{asked} and {rng.choice(_INSTRUCTIONS[look])}"


def edits_of(caption: str, rng: Random) -> dict[str, list[Triple]]:
    """All the grammar can change in a caption, by family: "look", "style", "things", "place"; wordings by `rng`."""
    return {
        "look": list(_look_edits(caption, rng)),
        "style": list(_style_edits(caption, rng)),
        "things": list(_thing_edits(caption, rng)),
        "place": list(_place_edits(caption, rng)),
    }


EDITS = ("look", "style", "things", "place")


def write_edits(caption: str, count: int, rng: Random, families: Sequence[str] = EDITS) -> list[Triple]:
    """Up to `count` triples of a caption, families by turns, in any order. UserError for one that is none of EDITS."""
    unknown = [name for name in families if name not in EDITS]
    if unknown:
        raise UserError(f"Edits of {unknown[0]!r} are unknown: choose some of {', '.join(EDITS)}.")
    possible = [edits for name, edits in edits_of(caption, rng).items() if name in families and edits]
    for edits in (possible, *possible):
        rng.shuffle(edits)
    by_turns = (triple for turn in zip_longest(*possible) for triple in turn if triple is not None)
    return [triple for triple, _ in zip(by_turns, range(count))]


def _look_edits(caption: str, rng: Random) -> Iterator[Triple]:
    if any(phrase in caption for phrase in SYNTHETIC_PHRASES):
        return  # a simulator's light is of no look
    before = _look_of(caption)
    for name, words in LOOKS.items():
        if before is None:
            edited = caption_in_look(caption, name)
        elif before.name == name:
            continue
        else:
            edited = caption.replace(
                before.phrase, words.sentence if before.sentence else rng.choice(LOOK_PHRASES[name])
            )
        named = before is not None and not before.sentence and any(text in caption for text in PHOTOREAL_PHRASES)
        styles = (f"photoreal.{before.name}", f"photoreal.{name}") if named else None
        asked = instruction_between("photoreal", f"photoreal.{name}", rng)
        yield Triple(caption, asked, _in_light(edited, name), f"look: {name}", styles)


def _style_edits(caption: str, rng: Random) -> Iterator[Triple]:
    synthetic = [phrase for phrase in SYNTHETIC_PHRASES if phrase in caption]
    real = [phrase for phrase in PHOTOREAL_PHRASES if phrase in caption]
    look = _look_of(caption)
    for name in LOOKS if synthetic else ():
        words = f"{rng.choice(PHOTOREAL_PHRASES)}, {rng.choice(LOOK_PHRASES[name])}"
        edited = _in_light(caption.replace(max(synthetic, key=len), words), name)
        asked = instruction_between(_SYNTHETIC, f"photoreal.{name}", rng)
        yield Triple(caption, asked, edited, f"style: photoreal {name}", (_SYNTHETIC, f"photoreal.{name}"))
    if real and look is not None and not look.sentence:
        parts = [part for part in caption.replace(look.phrase, "").split(", ") if part.strip(", ")]
        edited = ", ".join(parts).replace(max(real, key=len), rng.choice(SYNTHETIC_PHRASES))
        styles = f"photoreal.{look.name}", _SYNTHETIC
        yield Triple(caption, instruction_between(*styles, rng), edited, "style: synthetic", styles)


def _thing_edits(caption: str, rng: Random) -> Iterator[Triple]:
    parts = caption.split(", ")
    for one, many in sorted(_THINGS):
        for place, part in enumerate(parts):
            before, _, thing = part.partition(" ")
            if before not in _COUNTS or thing not in (one, many):
                continue
            for after, asked in _COUNTS.items():
                if after == before or {after, before} == {"several", "many"}:
                    continue  # which of the two it is, nobody sees
                words = f"{after} {one if after == 'one' else many}"
                edited = ", ".join([*parts[:place], words, *parts[place + 1 :]])
                yield Triple(caption, rng.choice(asked).format(one=one, many=many), edited, f"things: {words}")
    for place, part in enumerate(parts):
        if part in _LIGHTS:
            words, asked = _LIGHTS[part]
            edited = ", ".join([*parts[:place], words, *parts[place + 1 :]])
            yield Triple(caption, rng.choice(asked), edited, f"things: {words}")


def _place_edits(caption: str, rng: Random) -> Iterator[Triple]:
    parts = caption.split(", ")
    for index, part in enumerate(parts):
        for place in AREAS if part in AREAS else ():
            if place != part:
                edited = ", ".join([*parts[:index], place, *parts[index + 1 :]])
                yield Triple(caption, rng.choice(_PLACES).format(place=place), edited, f"place: {place}")


def _look_of(caption: str) -> _Look | None:
    """The look that a caption names, by its longest phrase."""
    looks = [
        *(_Look(name, phrase, False) for name, phrases in LOOK_PHRASES.items() for phrase in phrases),
        *(_Look(name, words.sentence, True) for name, words in LOOKS.items()),
    ]
    named = [look for look in looks if look.phrase in caption]
    return max(named, key=lambda look: len(look.phrase), default=None)


def _in_light(caption: str, look: str) -> str:
    """Without where the sun stands, where there is none to be seen."""
    if look == "day":
        return caption
    return ", ".join(part for part in caption.split(", ") if not part.startswith(_SUN))
