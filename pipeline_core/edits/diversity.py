"""How diverse paired prompts are: which edits, how often, and in which words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from .triples import Triple, words

_SHOWN = 20  # words of a list


def diversity(triples: Sequence[Triple], before: int | None = None) -> dict:
    """Plain figures of triples that are unique; before: how many there were before (`unique`).

    edits: how many of each kind, of each instruction's first word where it has none. evenness: their entropy as a share
    of the greatest, 1 where all are equally frequent, None for a single one. distinct_1, distinct_2: of the
    instructions' words and pairs of words, the share that are different (Li et al., 1510.03055). words_in, words_out:
    what edited captions have and the others do not, and the other way round.
    """
    edits = Counter(triple.kind or f"({(words(triple.instruction) or ['-'])[0]})" for triple in triples)
    spoken = [words(triple.instruction) for triple in triples]
    added, removed = Counter(), Counter()
    for triple in triples:
        old, new = set(words(triple.caption)), set(words(triple.edited_caption))
        added.update(sorted(new - old))
        removed.update(sorted(old - new))
    return {
        "triples": len(triples),
        "dropped": 0 if before is None else before - len(triples),
        "captions": len({triple.caption for triple in triples}),
        "instructions": len({" ".join(text) for text in spoken}),
        "edits": dict(edits.most_common()),
        "evenness": _evenness(edits),
        "distinct_1": _distinct([word for text in spoken for word in text]),
        "distinct_2": _distinct([pair for text in spoken for pair in pairwise(text)]),
        "words_in": dict(added.most_common(_SHOWN)),
        "words_out": dict(removed.most_common(_SHOWN)),
    }


def _evenness(counts: Counter) -> float | None:
    if len(counts) < 2:
        return None
    total = sum(counts.values())
    entropy = -sum(count / total * math.log(count / total) for count in counts.values())
    return round(entropy / math.log(len(counts)), 4)


def _distinct(items: list) -> float | None:
    return round(len(set(items)) / len(items), 4) if items else None


def format_diversity(figures: dict) -> str:
    """The same as lines for people."""
    lines = [
        f"{figures['triples']} triples of {figures['captions']} captions, {figures['instructions']} instructions; "
        f"{figures['dropped']} said the same or edited nothing and were dropped",
        *(f"  {count:5d}  {name}" for name, count in figures["edits"].items()),
    ]
    names = ("evenness", "distinct_1", "distinct_2")
    shown = [f"{name} {figures[name]}" for name in names if figures[name] is not None]
    lines += ["; ".join(shown)] if shown else []
    for name, what in (("words_in", "words that came in"), ("words_out", "words that went")):
        if figures[name]:
            lines.append(f"{what}: " + ", ".join(f"{word} {count}" for word, count in figures[name].items()))
    return "\n".join(lines)
