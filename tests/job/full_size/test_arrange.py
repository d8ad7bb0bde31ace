"""Arrangements of known costs in known memory, what the plan says of them, and the tables of docs/models.md."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline_core.__main__ import main
from pipeline_core.errors import UserError
from pipeline_core.job.full_size.arrange import STREAMED, TURNS, WHOLE, Job, arrangements, best, kept_bytes
from pipeline_core.job.full_size.report import lines, own_plan, plan
from pipeline_core.job.full_size.tables import with_tables
from pipeline_core.models.plan.cards import BUS, CARDS, GIB, Card, find_card
from pipeline_core.models.plan.cost import Cost
from pipeline_core.models.plan.counts import Costs, Held, defaults
from pipeline_core.models.plan.releases import RELEASES

ROOT = Path(__file__).parents[3]
RELEASE = replace(RELEASES["wan_vace_1.3b"], tokens=0, width=0, hint=0)
WEIGHTS = {
    "bf16": Held(network=8 * GIB, branch=0, vae=GIB, text=10 * GIB, block=GIB // 4),
    "fp8": Held(network=4 * GIB, branch=0, vae=GIB, text=5 * GIB, block=GIB // 8),
}
COSTS = Costs(
    "made up", (64, 64), 81, 1, one=Cost(flops=10**15, swept=10**12, peak=4 * GIB), fewer=Cost(flops=10**15 // 2),
    two=Cost(flops=2 * 10**15, swept=2 * 10**12, peak=8 * GIB), encode=Cost(flops=10**12, peak=6 * GIB),
    decode=Cost(flops=10**12, peak=6 * GIB), tile=Cost(flops=10**11, peak=2 * GIB), text=Cost(peak=GIB), held=WEIGHTS,
)  # fmt: skip
CARD = Card("round", 24, 1e14, 1e12)
JOB = Job(frames=81, cfg=5.0, steps=10)
SMALL = kept_bytes(RELEASE, COSTS) + GIB // 10  # what stands between steps, and a little


def way(room, job=JOB, costs=COSTS):
    return best(RELEASE, costs, int(room * GIB) + SMALL, job, CARD)


def test_more_memory_holds_more_and_every_stage_fits():
    """19 GiB of weights and 8 for a step of both, or 6 for the VAE; turns of 16 and 12; then streaming."""
    expected = {27: (WHOLE, 2), 25: (WHOLE, 1), 16: (TURNS, 2), 13: (TURNS, 1), 11: (STREAMED, 2), 7: (STREAMED, 1)}
    for room, (placement, together) in expected.items():
        found = way(room)
        assert (found.weights, found.placement, found.together) == ("bf16", placement, together), room
        assert found.peak <= room * GIB + SMALL
        assert (found.streamed > 0) == (placement == STREAMED)
    assert way(3) is None


def test_the_vae_works_by_tiles_where_it_does_not_fit_whole():
    assert not way(8).tiled
    assert way(6.5).tiled


def test_fp8_is_taken_where_it_saves_a_tenth_of_the_time_or_is_all_that_fits():
    """On a card so fast that it waits for what is streamed."""
    fast = replace(CARD, rate=1e18, bandwidth=1e16)
    assert best(RELEASE, COSTS, int(11 * GIB) + SMALL, JOB, fast).weights == "fp8"
    wide_blocks = {**WEIGHTS, "bf16": replace(WEIGHTS["bf16"], block=4 * GIB)}
    assert way(7, costs=replace(COSTS, held=wide_blocks)).weights == "fp8"


def test_time_is_arithmetic_and_sweeps_at_the_cards_rates():
    found = way(27)
    # Ten steps up with one prompt, ten down with two; three prompts; a map and the clip encoded, the clip decoded.
    assert found.work.flops == 10 * (1 + 2) * 10**15 + 3 * 10**12
    assert found.calls == 20
    assert found.work.swept == 30 * 10**12
    assert found.seconds(CARD) == pytest.approx(found.work.flops / 1e14 + 30 + 19 * GIB / BUS)
    alone = way(27, replace(JOB, cfg=1.0))
    assert (alone.together, alone.calls, alone.work.flops) == (1, 20, 20 * 10**15 + 3 * 10**12)
    longer = way(27, replace(JOB, frames=81 + 64))
    assert longer.windows == 2
    assert longer.work.flops == 2 * found.work.flops


def test_what_is_streamed_for_longer_than_is_computed_decides():
    fast = replace(CARD, rate=1e18, bandwidth=1e16)
    found = next(w for w in arrangements(RELEASE, COSTS, int(7 * GIB) + SMALL, JOB) if w.weights == "bf16")
    assert found.seconds(fast) == pytest.approx((found.calls * found.streamed + found.loads) / BUS)


@pytest.mark.parametrize("release", RELEASES.values(), ids=RELEASES)
@pytest.mark.parametrize("name", CARDS)
def test_every_release_has_a_plan_on_every_card(release, name):
    memory, cards = find_card(name)
    answer = own_plan(release, memory, cards)
    assert answer.way.peak <= cards[0].room
    text = "\n".join(lines(answer))
    for word in ("weights", "fits", "streamed", "main memory", "window", "prompts", "VAE", "time", "helps most", name):
        assert word in text


def test_a_card_is_known_by_memory_or_by_what_a_driver_calls_it():
    assert [card.name for card in find_card("16GB")[1]] == ["RTX 4060 Ti 16GB", "RTX 4080", "RTX 5080"]
    assert find_card("20 GiB") == (20.0, [])
    assert find_card("NVIDIA GeForce RTX 4090")[1] == [CARDS["RTX 4090"]]
    assert find_card("NVIDIA H100 80GB HBM3")[1] == [CARDS["H100"]]
    for text in ("", "RTX 9999", "0GB", "5000GB", "RTX 40901"):
        with pytest.raises(UserError, match="gpu is"):
            find_card(text)


def test_a_window_that_does_not_fit_is_cut_and_traced(monkeypatch):
    release = RELEASES["sd15"]
    known, asked = defaults(release), []

    def traced(release, size, frames, controls, tell):
        asked.append(frames)
        share = frames / known.frames
        peaks = {name: replace(getattr(known, name), peak=int(4 * GIB * share)) for name in ("one", "fewer", "two")}
        return replace(known, frames=frames, **peaks)

    monkeypatch.setattr("pipeline_core.models.plan.tracing.costs_for", traced)
    answer = plan(release, "4GB")
    assert asked[0] == 16
    assert answer.way is not None
    assert answer.costs.frames == asked[-1] < 16


@pytest.mark.parametrize(
    "changes, what",
    [
        ({"size": (100, 100)}, "size"), ({"frames": 0}, "frames"), ({"controls": 9}, "controls"),
        ({"cfg": -1.0}, "cfg"), ({"steps": 1001}, "steps"), ({"gpu": "a card"}, "gpu"),
    ],
)  # fmt: skip
def test_what_cannot_be_planned_is_refused_in_a_sentence(changes, what):
    with pytest.raises(UserError, match=f"{what} is"):
        plan(RELEASES["cosmos_transfer25"], **{"gpu": "16GB", **changes})


def test_the_command_says_the_plan_and_gives_it_as_json(capsys):
    assert main(["plan", "--model", "cosmos_transfer25", "--gpu", "24GB"]) == 0
    answer = own_plan(RELEASES["cosmos_transfer25"], *find_card("24GB"))
    assert capsys.readouterr().out == "\n".join(lines(answer)) + "\n"
    assert main(["plan", "--model", "cosmos_transfer25", "--gpu", "RTX 4090", "--cfg", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["cfg"], found["way"]["conditions_in_a_batch"]) == (1.0, 1)
    assert list(found["way"]["least_seconds"]) == ["RTX 4090"]
    assert main(["plan", "--model", "sd15", "--gpu", "8GB", "--size", "512by512"]) == 2


def test_the_page_has_the_tables_of_what_was_traced():
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert page.count("<!-- plan: ") == 3
    assert with_tables(page) == page, "run python scripts/make_plan.py --docs"
    stale = page.replace("PFLOP", "FLOP")
    assert with_tables(stale) != stale
