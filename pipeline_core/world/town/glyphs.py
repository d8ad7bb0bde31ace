"""Letters for signs and shop fronts: a font of 5 x 7 dots, and lines of text as bitmaps."""

from functools import lru_cache

import torch
from einops import rearrange
from torch import Tensor

ROWS, ADVANCE = 7, 6
# Seven rows of five dots, each row a number whose highest of five bits is the leftmost dot.
FONT = {
    "A": (14, 17, 17, 31, 17, 17, 17), "B": (30, 17, 17, 30, 17, 17, 30), "C": (14, 17, 16, 16, 16, 17, 14),
    "D": (30, 17, 17, 17, 17, 17, 30), "E": (31, 16, 16, 30, 16, 16, 31), "F": (31, 16, 16, 30, 16, 16, 16),
    "G": (14, 17, 16, 23, 17, 17, 15), "H": (17, 17, 17, 31, 17, 17, 17), "I": (14, 4, 4, 4, 4, 4, 14),
    "K": (17, 18, 20, 24, 20, 18, 17), "L": (16, 16, 16, 16, 16, 16, 31), "M": (17, 27, 21, 21, 17, 17, 17),
    "N": (17, 25, 21, 19, 17, 17, 17), "O": (14, 17, 17, 17, 17, 17, 14), "P": (30, 17, 17, 30, 16, 16, 16),
    "R": (30, 17, 17, 30, 20, 18, 17), "S": (15, 16, 16, 14, 1, 1, 30), "T": (31, 4, 4, 4, 4, 4, 4),
    "U": (17, 17, 17, 17, 17, 17, 14), "V": (17, 17, 17, 17, 17, 10, 4), "W": (17, 17, 17, 21, 21, 21, 10),
    "X": (17, 17, 10, 4, 10, 17, 17), "Y": (17, 17, 10, 4, 4, 4, 4), "Z": (31, 1, 2, 4, 8, 16, 31),
    "0": (14, 17, 19, 21, 25, 17, 14), "2": (14, 17, 1, 6, 8, 16, 31), "3": (31, 2, 4, 2, 1, 17, 14),
    "4": (2, 6, 10, 18, 31, 2, 2), "5": (31, 16, 30, 1, 1, 17, 14), "6": (6, 8, 16, 30, 17, 17, 14),
    "7": (31, 1, 2, 4, 8, 8, 8), "!": (4, 4, 4, 4, 4, 0, 4), " ": (0,) * 7,
}  # fmt: skip


@lru_cache(maxsize=128)
def bitmap(text: str) -> Tensor:
    """(7, 6 n - 1) bool, row 0 on top. KeyError for a letter that the font lacks."""
    dots = [[bool(FONT[letter][row] >> (4 - column) & 1) for column in range(5)] for letter in text for row in range(7)]
    letters = torch.tensor(dots).reshape(len(text), ROWS, 5)
    return rearrange(torch.nn.functional.pad(letters, (0, 1)), "letter row column -> row (letter column)")[:, :-1]


def written(text: str, across: Tensor, up: Tensor, width: float, height: float) -> Tensor:
    """Where text fills a box of width x height metres, centred at (0, 0): bool, shaped like across and up."""
    dots = bitmap(text)
    column = ((across / width + 0.5) * dots.shape[1]).floor().long()
    row = ((0.5 - up / height) * ROWS).floor().long()
    inside = (column >= 0) & (column < dots.shape[1]) & (row >= 0) & (row < ROWS)
    return inside & dots[row.clamp(0, ROWS - 1), column.clamp(0, dots.shape[1] - 1)]
