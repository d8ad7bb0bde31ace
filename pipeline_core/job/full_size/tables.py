"""The tables of docs/models.md, written from what was traced: between two marks, so that a test can compare them."""

from __future__ import annotations

import re

from ...models.plan.cards import CARDS, GIB, find_card
from ...models.plan.counts import Costs, defaults
from ...models.plan.releases import RELEASES, Release
from .report import lines, minutes, own_plan

MARK = "<!-- plan: {} -->"
END = "<!-- end of plan -->"
COLUMNS = ("RTX 3060", "RTX 4080", "RTX 3090", "RTX 4090", "RTX 5090", "L40S", "A100 80GB", "H100", "B200")


def with_tables(page: str) -> str:
    """The page with what stands between the marks written anew. KeyError for a mark that names no table."""
    tables = {"costs": costs_table, "times": times_table, "example": example}

    def written(match: re.Match) -> str:
        return f"{match[1]}\n{tables[match[2]]()}\n{END}"

    pattern = "(" + re.escape(MARK).replace(r"\{\}", r"(\w+)") + ")" + r".*?" + re.escape(END)
    return re.sub(pattern, written, page, flags=re.DOTALL)


def costs_table() -> str:
    """What every release needs beside the card: weights, memory by part, arithmetic."""
    head = (
        "| release | pixels, frames, controls | weights bf16 / fp8 | text encoder | VAE | a step, one prompt | both | "
        "VAE whole | VAE tile | a call |"
    )
    return "\n".join([head, _rule(head), *(_costs_row(release, costs) for release, costs in _known())])


def _costs_row(release: Release, costs: Costs) -> str:
    height, width = costs.size
    bf16, fp8 = (costs.held[name].network + costs.controls * costs.held[name].branch for name in ("bf16", "fp8"))
    cells = [
        release.title,
        f"{width}x{height}, {costs.frames}, {costs.controls}",
        f"{_gib(bf16)} / {_gib(fp8)}" + (", twice" if release.experts > 1 else ""),
        "inside" if release.reads else f"{_gib(costs.held['bf16'].text)} / {_gib(costs.held['fp8'].text)}",
        _gib(costs.held["bf16"].vae),
        _gib(costs.one.peak),
        _gib(costs.two.peak),
        _gib(max(costs.encode.peak, costs.decode.peak)),
        _gib(costs.tile.peak) if costs.tile.flops else "as whole",
        f"{costs.one.flops / 1e15:.3g} PFLOP",
    ]
    return "| " + " | ".join(cells) + " |"


def times_table() -> str:
    """The least time of one window on some cards, and how the model is held there."""
    head = "| release | " + " | ".join(f"{name} ({CARDS[name].memory:g})" for name in COLUMNS) + " |"
    return "\n".join([head, _rule(head), *(_times_row(release) for release, _ in _known())])


def _times_row(release: Release) -> str:
    cells = [release.title]
    for name in COLUMNS:
        memory, cards = find_card(name)
        way = own_plan(release, memory, cards).way
        cells.append("a shorter window" if way is None else f"{minutes(way.seconds(cards[0]))} {_short(way)}")
    return "| " + " | ".join(cells) + " |"


def _short(way) -> str:
    marks = [way.weights, way.placement] + ["tiles"] * way.tiled
    return f"({', '.join(marks)})"


def example() -> str:
    """The command's answer for the usual wish."""
    release = RELEASES["cosmos_transfer25"]
    memory, cards = find_card("RTX 4090")
    return "\n".join(["```", *lines(own_plan(release, memory, cards)), "```"])


def _known() -> list[tuple[Release, Costs]]:
    return [(release, costs) for release in RELEASES.values() if (costs := defaults(release)) is not None]


def _rule(head: str) -> str:
    return "|" + " --- |" * (head.count("|") - 1)


def _gib(count: int) -> str:
    return f"{count / GIB:.1f}"
