"""The table of mixed trainings: its differences against closed forms, and one small run on a tiny network."""

import json
import sys

import pytest

from benchmarks import simdrop_mix
from benchmarks.simdrop_mix import differences, promises
from pipeline_core.cli.commands import parse
from training import drive_clips


def rows_of(gains):
    """Rows of share 0 and of share .3 with the tag, whose hard cases are better by `gains`."""
    plain = [{"share": 0.0, "tag": "off", "seed": s, "hard": 0.1 * s, "drives": 0.2} for s in range(len(gains))]
    return plain + [
        {"share": 0.3, "tag": "on", "seed": s, "hard": 0.1 * s + gain, "drives": 0.2} for s, gain in enumerate(gains)
    ]


def test_differences_are_paired_by_seed_with_students_interval():
    mean, half = differences(rows_of([0.1, 0.2, 0.3]), 0.3, "on", "hard")
    assert mean == pytest.approx(0.2) and half == pytest.approx(4.303 * 0.1 / 3**0.5, rel=1e-3)
    assert differences(rows_of([0.1]), 0.3, "on", "hard") is None


def test_the_summary_has_means_and_what_lies_above_share_0_without_simdrop():
    rows = [row | {"critic": 0.9, "critic_simdrop": 0.9 + row["share"]} for row in rows_of([0.1, 0.2, 0.3])]
    plain, mixed = simdrop_mix.summary(rows)
    assert (plain["share"], plain["seeds"], plain["hard"]) == (0.0, 3, pytest.approx(0.1))
    assert mixed["hard"] == pytest.approx(0.3) and mixed["above"]["hard"][0] == pytest.approx(0.2)
    assert mixed["above"]["critic_simdrop"] == (pytest.approx(0.3), pytest.approx(0, abs=1e-9)) and "leak" not in mixed


def test_without_renders_there_is_no_tag_and_without_drives_no_filter():
    assert simdrop_mix.tags_of(0.0, ["off", "on", "filtered"]) == ("off",)
    assert simdrop_mix.tags_of(0.3, ["off", "on", "filtered"]) == ("off", "on", "filtered")
    assert simdrop_mix.tags_of(1.0, ["off", "on", "filtered"]) == ("off", "on")


def test_a_promise_asks_for_more_than_the_interval():
    assert promises(rows_of([0.10, 0.11, 0.12]))[0].held and not promises(rows_of([0.0, 0.1, 0.3]))[0].held
    assert promises(rows_of([0.10, 0.11, 0.12]))[1].held  # drives are the same
    assert not any(promise.held for promise in promises(rows_of([0.1])))  # one seed has no interval


def test_geometry_and_the_critic_with_simdrop_are_promised_against_share_0_without():
    figures = {"reprojection_error": 0.05, "background_spread": 0.1, "alpha_error": 0.3, "critic": 0.9, "frechet": 50.0}
    better = {"reprojection_error": 0.04, "background_spread": 0.2, "alpha_error": 0.4}
    better |= {"critic_simdrop": 0.95, "frechet_simdrop": 40.0}
    rows = [row | figures | (better if row["share"] else {}) for row in rows_of([0.1, 0.1, 0.1])]
    rows = [{"critic_simdrop": 0.9, "frechet_simdrop": 50.0} | row for row in rows]
    assert [promise.held for promise in promises(rows)][2:] == [True, False, False, True, True]


def test_a_run_trains_every_share_and_tag_and_writes_its_table(tmp_path, monkeypatch):
    commands = []
    gains = {"0_off": 0.1, "0.3_off": 0.12, "0.3_on": 0.2, "1_off": 0.3, "1_on": 0.3}

    def measured(work, file, options):
        share, tag, seed = file.parent.name.split("_")
        return {"hard": gains[f"{share}_{tag}"] + 0.001 * int(seed), "drives": 0.05, "leak": 0.0}

    monkeypatch.setattr(drive_clips, "command", lambda words: commands.append(words) or 0)
    monkeypatch.setattr(simdrop_mix, "gains", measured)
    words = [
        str(tmp_path / "work"),
        "--shares",
        "0,0.3,1",
        "--seeds",
        "2",
        "--clips",
        "1",
        "--tags",
        "off,on",
        "--generate",
        "0",
        "--json",
        str(tmp_path / "a"),
    ]
    monkeypatch.setattr(sys, "argv", ["simdrop_mix.py", *words])
    simdrop_mix.main()
    table = json.loads((tmp_path / "a").read_text())
    assert len(table["rows"]) == 2 * 5 and [promise["held"] for promise in table["promises"]][:2] == [True, True]
    trained = [words for words in commands if words[0] == "train-lora"]
    assert len(trained) == 10 and {words[words.index("--mix") + 1] for words in trained} == {
        "synthetic=0,photoreal=1", "synthetic=0.3,photoreal=0.7", "synthetic=1,photoreal=0",
    }  # fmt: skip
    for words in commands:  # every one is taken by its own parser
        parse(words)
    captions = (tmp_path / "work" / "leak" / "metadata.jsonl").read_text()
    assert "photorealistic" in captions and '"source": "synthetic"' in captions
    monkeypatch.setattr(drive_clips, "command", lambda words: 2)
    with pytest.raises(RuntimeError, match="ended with 2"):
        simdrop_mix.main()
