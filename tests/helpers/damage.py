"""Damaged files and texts for the doors: strategies that spoil a whole one in the ways disks and people do."""

import copy
import json

from hypothesis import strategies as st

ODD_NUMBERS = [-1, 0, 1e9, 10**30, float("inf"), float("-inf"), float("nan"), 2**63, -(2**63), 0.5, 1e-300]
ODD_TEXTS = ["", "\0", "a" * 300, "../../x", "/dev/zero", "\ud800", "none", "é", "%s", "\n"]
ODD_VALUES = [None, True, [], {}, [[]], {"a": 1}, *ODD_NUMBERS, *ODD_TEXTS]


@st.composite
def spoiled_bytes(draw, whole: bytes) -> bytes:
    """The file cut off, with bits flipped, with a range lost, zeroed or written twice, or something else altogether."""
    place = draw(st.integers(0, max(0, len(whole) - 1)))
    length = draw(st.integers(1, 64))
    return draw(
        st.sampled_from(
            [
                whole[:place],
                whole[:place] + bytes([whole[place] ^ (1 << length % 8)]) + whole[place + 1 :] if whole else b"x",
                whole[:place] + whole[place + length :],
                whole[:place] + bytes(length) + whole[place + length :],
                whole[: place + length] + whole[place:],
                whole + b"\xff" * length,
                b"",
                b"[" * 100_000,
                b'{"a":' * 50_000,
            ]
        )
    )


def _places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, held in items:
        yield from _places(held, (*path, key))


@st.composite
def spoiled_json(draw, whole) -> str:
    """The JSON of a value in which one or two places hold something odd, are missing, or are nested too deeply."""
    value = [copy.deepcopy(whole)]
    for _ in range(draw(st.integers(1, 2))):
        *above, key = draw(st.sampled_from([path for path in _places(value) if path]))
        held = value
        for step in above:
            held = held[step]
        if draw(st.integers(0, 4)) == 0 and above:
            held.pop(key)
        else:
            held[key] = copy.deepcopy(draw(st.sampled_from(ODD_VALUES)))
    text = json.dumps(value[0])
    return "[" * 300 + text + "]" * 300 if draw(st.integers(0, 30)) == 0 else text
