"""Cards by their published figures: memory, dense arithmetic in bfloat16 with 32-bit sums, memory bandwidth."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...errors import UserError

GIB = 2**30
# Of a card's memory the driver, torch's kernels and the gaps between tensors take some before any tensor is there.
RESERVED = 1.25 * GIB
BUS = 20e9  # bytes a second from main memory: PCIe 4.0 x16 in practice


@dataclass(frozen=True)
class Card:
    """memory: GiB. rate: operations a second in bf16, dense, as the maker states them. bandwidth: bytes a second."""

    name: str
    memory: float
    rate: float
    bandwidth: float

    @property
    def room(self) -> int:
        """Bytes for tensors on a card that does nothing else."""
        return int(self.memory * GIB - RESERVED)


def _card(name: str, memory: float, teraflops: float, gigabytes: float) -> Card:
    return Card(name, memory, teraflops * 1e12, gigabytes * 1e9)


# NVIDIA's architecture papers and data sheets (GA102, Ada, RTX Blackwell; A10, L4, L40S, A100, H100, H200, H20, B200).
# GeForce: with 32-bit accumulation, which bfloat16 always has, half of the fp16 figure that is usually quoted.
CARDS = {
    card.name: card
    for card in (
        _card("RTX 3060", 12, 25.5, 360),
        _card("RTX 4070", 12, 58.3, 504),
        _card("RTX 4060 Ti 16GB", 16, 44.1, 288),
        _card("RTX 4080", 16, 97.5, 717),
        _card("RTX 5080", 16, 112.6, 960),
        _card("RTX 3090", 24, 71.0, 936),
        _card("RTX 4090", 24, 165.2, 1008),
        _card("A10", 24, 125.0, 600),
        _card("L4", 24, 121.0, 300),
        _card("RTX 5090", 32, 209.5, 1792),
        _card("L40S", 48, 362.0, 864),
        _card("A100 80GB", 80, 312.0, 2039),
        _card("H100", 80, 989.4, 3350),
        _card("RTX PRO 6000", 96, 503.8, 1792),
        _card("H200", 141, 989.4, 4800),
        _card("B200", 180, 2250.0, 8000),
    )
}


def find_card(text: str) -> tuple[float, list[Card]]:
    """(GiB, the cards that are meant) of "16GB" (all of that memory, none where the table has none) or a card's name.

    A name may be what a driver says, with words around it; the longest that fits is taken. UserError for what is
    neither.
    """
    amount = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:GB|GiB|G)?\s*", text, re.IGNORECASE)
    if amount:
        memory = float(amount[1])
        if not 1 <= memory <= 1024:
            raise UserError(f"gpu is {text!r}; give its memory from 1GB to 1024GB, or its name.")
        return memory, [card for card in CARDS.values() if card.memory == memory]
    plain = text.lower().replace("geforce", "").replace("nvidia", "")
    words = " ".join(plain.split())
    fitting = [card for card in CARDS.values() if re.search(rf"\b{re.escape(card.name.lower())}\b", words)]
    if not fitting:
        raise UserError(f"gpu is {text!r}; give its memory, such as 16GB, or one of {', '.join(CARDS)}.")
    card = max(fitting, key=lambda card: len(card.name))
    return card.memory, [card]
