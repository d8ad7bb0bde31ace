"""The promised figures of the guidance benchmark, read from its rows."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.common import Promise
from benchmarks.guidance_tables import style_free_margin


def find(rows: list[dict], **where) -> dict:
    """The one row with these values."""
    matches = [row for row in rows if all(row.get(name) == value for name, value in where.items())]
    if len(matches) != 1:
        raise LookupError(f"{len(matches)} rows have {where}; one is needed.")
    return matches[0]


def promises(rows: list[dict], tuned: dict) -> list[Promise]:
    return [
        *damping_promises(rows),
        *inversion_promises(rows),
        *calibration_promises(rows, tuned["style_free"]),
        *simdrop_promises(rows),
        *dial_promises(rows),
    ]


def damping_promises(rows: list[dict]) -> Iterator[Promise]:
    one = find(rows, table="matched", guidance="CFG", cfg=1.0, method="exact")
    for cfg in (3.0, 7.0):
        damped = find(rows, table="matched", guidance="ConflictDamping", cfg=cfg)
        plain = find(rows, table="matched", guidance="CFG", cfg=cfg, method="exact")
        yield Promise(f"damping, CFG {cfg:g}: lamps kept", damped["lamps"], 0.95)
        yield Promise(f"damping, CFG {cfg:g}: vehicles kept", damped["vehicles"], 0.95)
        yield Promise(f"damping, CFG {cfg:g}: PSNR over CFG 1, dB", damped["psnr"] - one["psnr"], 0.0)
        yield Promise(
            f"damping, CFG {cfg:g}, matched prompts: colours over plain CFG", damped["colours"] - plain["colours"], 0.0
        )
    for cfg in (3.0, 7.0):
        damped = find(rows, table="contradicting", guidance="ConflictDamping", cfg=cfg)
        plain = find(rows, table="contradicting", guidance="CFG", cfg=cfg)
        name = f"damping, CFG {cfg:g}, ten contradicting prompts: colours over plain CFG"
        yield Promise(name, damped["colours"] - plain["colours"], 0.3)


def inversion_promises(rows: list[dict]) -> Iterator[Promise]:
    exact = find(rows, table="matched", guidance="CFG", cfg=3.0, method="exact")
    euler = find(rows, table="matched", guidance="CFG", cfg=3.0, method="euler")
    for what in ("lamps", "vehicles"):
        yield Promise(f"CFG 3: {what} kept by exact over Euler inversion", exact[what] - euler[what], 0.0)


def calibration_promises(rows: list[dict], style_free: str) -> Iterator[Promise]:
    for cfg in (1.0, 3.0):
        plain, published, free = (
            find(rows, table="calibration", form=form, cfg=cfg) for form in ("SDEdit", "as published", style_free)
        )
        yield Promise(
            f"calibration as published, N = 1, CFG {cfg:g}: low-frequency error to the input over SDEdit's",
            published["lf_input"] / plain["lf_input"],
            0.7,
            at_least=False,
        )
        if cfg == 1.0:
            more = published["calls"] / plain["calls"]
            yield Promise("calibration as published, N = 1: calls over SDEdit's", more, 1.1, at_least=False)
        yield Promise(
            f"style-free calibration, CFG {cfg:g}: least margin of structure over the published form, realism and PSNR "
            "over SDEdit",
            style_free_margin(free, plain, published),
            0.0,
        )
    source = find(rows, table="calibration", form="source")
    guarded = find(rows, table="calibration", form="N = 10, guarded")
    yield Promise(
        "calibration, N = 10, guarded: saturation over the source's own",
        guarded["saturation"] / source["saturation"],
        1.05,
        at_least=False,
    )
    yield Promise("calibration, N = 10, guarded: standard deviation of the noise", guarded["noise_std"], 1.06, False)


def simdrop_promises(rows: list[dict]) -> Iterator[Promise]:
    """A weight that raises the critic at equal edge F1; None where none does."""
    one = find(rows, table="matched", guidance="CFG", cfg=1.0, method="exact")
    dropped = [row for row in rows if row.get("guidance") == "SimDrop"]
    gains = [row["critic"] - one["critic"] for row in dropped if row["edge_f1"] >= one["edge_f1"] - 0.005]
    yield Promise("SimDrop: best critic over CFG 1 at an edge F1 within .005", max(gains, default=None), 0.0)


def dial_promises(rows: list[dict]) -> Iterator[Promise]:
    """Monotone within what the figures resolve: the smallest step up over a dial's range."""
    for dial, what in (("realism", "critic"), ("faithfulness", "edge_f1"), ("faithfulness", "colours")):
        turned = sorted((row for row in rows if row.get("dial") == dial), key=lambda row: row["value"])
        steps = [after[what] - before[what] for before, after in zip(turned, turned[1:], strict=False)]
        yield Promise(f"dial {dial}: smallest change of {what} in a quarter turn", min(steps), -0.005)
        yield Promise(f"dial {dial}: change of {what} over its range", turned[-1][what] - turned[0][what], 0.0)
