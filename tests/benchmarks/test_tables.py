"""The papers' tables: every row runs on a tiny network, a cut-off run goes on, and claims say what the figures say."""

import json
from dataclasses import replace

import pytest

from benchmarks import guided
from benchmarks.papers import calibration, cfg, conditions, maps, prompts, table
from benchmarks.papers.table import Claim, Output, Table

TABLES = [module.TABLE for module in (cfg, conditions, calibration, maps, prompts)]


@pytest.fixture(scope="module")
def bench(model_folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guided, "load_video_model", lambda: load(model_folder))
        opened = guided.open_bench(table.HELD_OUT[:1], prompts.LOOKS)
    opened.model = replace(opened.model, preset=replace(opened.model.preset, steps=5))
    return opened


def load(folder):
    from pipeline_core.models.folders.loading import load_video_model

    return load_video_model(folder)


@pytest.mark.parametrize("table_", TABLES, ids=lambda table_: table_.name)
def test_every_row_runs_and_every_claim_names_rows(table_, bench, monkeypatch):
    monkeypatch.setattr(calibration, "STEPS", 2)
    for name, make in table_.rows.items():
        row = table._row(bench, make)
        assert row["figures"]["psnr"][1] >= 1 and row["figures"]["calls"][0] > 0, name
    named = {table_.base, *table_.paper, *(name for claim in table_.claims for name in (claim.ours, claim.theirs))}
    assert named <= table_.rows.keys()
