"""Which token of the edited caption takes whose attention: the maps of Prompt-to-Prompt (Hertz et al., 2208.01626).

An attention map over the edited caption becomes M*[:, j] = sum_i M_source[:, i] taken[i, j] + M_edited[:, j] own[j].
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import UserError
from ..models.networks.text import CHAT

ALIGNMENTS = ("auto", "words", "refine")


@dataclass(frozen=True, eq=False)
class TokenMap:
    """taken (P, L, L): how much of source token i's attention edited token j gets, for each of P pairs; own (P, L):
    the share of its own that an edited token keeps; alignment: "words" or "refine"."""

    taken: Tensor
    own: Tensor
    alignment: str = "refine"

    def to(self, device: torch.device | str, dtype: torch.dtype) -> TokenMap:
        return TokenMap(self.taken.to(device, dtype), self.own.to(device, dtype), self.alignment)


@dataclass(frozen=True)
class Tokens:
    """A tokenised text, padding included: ids, whether each is the text's (not padding), and its word, counted from 0;
    None for the tokens that a tokenizer adds."""

    ids: list[int]
    real: list[bool]
    words: list[int | None]

    @property
    def count(self) -> int:
        """Words of the text."""
        return len({word for word in self.words if word is not None})


def token_map(
    tokenizer, source: str, edited: str, length: int, chat: bool = False, alignment: str = "auto"
) -> TokenMap:
    """The map between two captions as `models.networks.text.tokenise` gives them to the network.

    alignment: "words" is Hertz's word swap, for captions of equally many words: a word takes the attention of the one
    in its place. "refine" is his prompt refinement: tokens that both captions have, in order, take the source's
    attention, new ones keep their own. "auto": words where there are equally many of them. UserError for "words" with
    captions of different length, for another name, and for a tokenizer that does not say where its tokens lie.
    """
    if alignment not in ALIGNMENTS:
        raise UserError(f"alignment is {alignment!r} but must be one of {', '.join(ALIGNMENTS)}: change alignment.")
    before, after = (read_tokens(tokenizer, text, length, chat) for text in (source, edited))
    equal = before.count == after.count
    if alignment == "words" and not equal:
        raise UserError(
            f"The captions have {before.count} and {after.count} words, but aligned by words they need equally many: "
            "set alignment to refine."
        )
    if alignment == "words" or (alignment == "auto" and equal):
        return TokenMap(*word_map(before, after), "words")
    return TokenMap(*refine_map(before, after), "refine")


def read_tokens(tokenizer, text: str, length: int, chat: bool = False) -> Tokens:
    """A text as the network gets it, with the word of each token. UserError where the tokenizer is no fast one."""
    text = CHAT.format(text) if chat else text
    if not getattr(tokenizer, "is_fast", False):
        raise UserError("This tokenizer does not say where its tokens lie: give a folder with a tokenizer.json.")
    answer = tokenizer(
        text, add_special_tokens=not chat, padding="max_length", truncation=True, max_length=length,
        return_offsets_mapping=True,
    )  # fmt: skip
    starts = [match.start() for match in re.finditer(r"\S+", text)]
    words = []
    for begin, end in answer["offset_mapping"]:
        first = next((place for place in range(begin, end) if not text[place].isspace()), None)
        words.append(None if first is None else sum(start <= first for start in starts) - 1)
    return Tokens(list(answer["input_ids"]), [bool(value) for value in answer["attention_mask"]], words)


def word_map(source: Tokens, edited: Tokens) -> tuple[Tensor, Tensor]:
    """taken (1, L, L) and own (1, L), which is zero, for captions of equally many words.

    A word of n tokens in the place of one of as many takes theirs one by one, of other many the mean: each token
    1 / n of what all of theirs got, so that no attention is lost.
    """
    taken = torch.zeros(len(source.ids), len(edited.ids))
    for word in sorted({word for word in source.words if word is not None}):
        _share(taken, *([i for i, other in enumerate(tokens.words) if other == word] for tokens in (source, edited)))
    added = [[i for i, word in enumerate(t.words) if word is None and t.real[i]] for t in (source, edited)]
    _share(taken, *added)
    _pad(taken, source, edited)
    return taken[None], torch.zeros(1, len(edited.ids))


def _share(taken: Tensor, rows: list[int], columns: list[int]) -> None:
    if len(rows) == len(columns):
        taken[rows, columns] = 1
    elif columns:
        taken[torch.tensor(rows)[:, None], columns] = 1 / len(columns)


def _pad(taken: Tensor, source: Tokens, edited: Tokens) -> None:
    """Padding takes padding's, in order; where the edited caption has less of it, the last takes the rest."""
    rows, columns = ([i for i, real in enumerate(tokens.real) if not real] for tokens in (source, edited))
    for place, row in enumerate(rows if columns else ()):
        taken[row, columns[min(place, len(columns) - 1)]] = 1


def refine_map(source: Tokens, edited: Tokens) -> tuple[Tensor, Tensor]:
    """taken (1, L, L) and own (1, L): tokens of the longest common subsequence take the source's, others their own.

    Hertz aligns by Needleman and Wunsch with 1 for a match and no cost of gaps, whose best is that subsequence.
    """
    taken, own = torch.zeros(len(source.ids), len(edited.ids)), torch.ones(len(edited.ids))
    places = [[i for i, real in enumerate(tokens.real) if real] for tokens in (source, edited)]
    for i, j in common_subsequence(*([t.ids[i] for i in p] for t, p in zip((source, edited), places))):
        taken[places[0][i], places[1][j]] = 1
    rows, columns = ([i for i, real in enumerate(tokens.real) if not real] for tokens in (source, edited))
    for place, column in enumerate(columns if rows else ()):
        taken[rows[min(place, len(rows) - 1)], column] = 1
    own[taken.any(0)] = 0
    return taken[None], own[None]


def common_subsequence(a: list[int], b: list[int]) -> list[tuple[int, int]]:
    """(place in a, place in b) of a longest common subsequence, in order."""
    lengths = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(len(a) - 1, -1, -1):
        for j in range(len(b) - 1, -1, -1):
            same = a[i] == b[j]
            lengths[i][j] = 1 + lengths[i + 1][j + 1] if same else max(lengths[i + 1][j], lengths[i][j + 1])
    pairs, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        if a[i] == b[j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs
