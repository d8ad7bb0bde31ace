"""Oracles: what each family's own code does (docs/models.md, Control maps), and the single operators."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from pipeline_core.conditions.blur import blur_map
from pipeline_core.conditions.conventions import CONVENTIONS, map_convention
from pipeline_core.conditions.edges import edge_map
from pipeline_core.conditions.estimated import Estimators
from pipeline_core.conditions.maps import window_maps
from pipeline_core.errors import UserError
from pipeline_core.models import read_preset
from pipeline_core.models.families import FAMILIES, family_of_preset
from pipeline_core.models.folders.preset import Preset

EMBEDDED = Path(__file__).parents[2] / "models" / "embedded"


def frames():
    coarse = torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, (64, 96)).movedim(1, -1)


def test_the_operators_are_those_of_the_releases():
    assert {name: row.edges for name, row in CONVENTIONS.items()} == {
        "cosmos_transfer1": "colour", "cosmos_transfer25": "colour", "sd15": "colour",
        "wan": "grey", "ltxv": "grey", "embedded": "grey_l2",
    }  # fmt: skip
    assert {row.depth for name, row in CONVENTIONS.items() if name != "embedded"} == {"min_max"}
    with pytest.raises(UserError, match="convention 'cosmos' is unknown: choose one of cosmos_transfer1, "):
        map_convention("cosmos")


@pytest.mark.parametrize("name", CONVENTIONS)
def test_a_windows_maps_are_its_familys(name):
    clip, row = frames(), CONVENTIONS[name]
    maps = window_maps(("edge", "vis"), clip, 0, None, Estimators(), None, name)
    assert torch.equal(maps["edge"], edge_map(clip, operator=row.edges)) and maps["edge"].sum() > 100
    assert torch.equal(maps["vis"], blur_map(clip, "medium", row.blur))


def test_every_family_with_controls_names_its_maps():
    named = {name: family.maps for name, family in FAMILIES.items() if family.control}
    assert set(named.values()) == CONVENTIONS.keys() - {"embedded"}
    assert all(family.maps == "" for name, family in FAMILIES.items() if name not in named)
    assert family_of_preset(Preset(maps="sd15")).maps == "sd15"


def test_the_embedded_model_keeps_the_maps_it_was_trained_on(tmp_path):
    """The trainer renders by Preset().maps and writes it: that default and the released folder say the same."""
    assert read_preset(EMBEDDED).maps == Preset().maps == "embedded"
    old = {name: value for name, value in asdict(Preset()).items() if name not in ("maps", "given_time")}
    (tmp_path / "preset.json").write_text(json.dumps(old))  # of before there was a choice
    assert read_preset(tmp_path).maps == "embedded"
    (tmp_path / "preset.json").write_text(json.dumps({"maps": "own"}))
    with pytest.raises(UserError, match="says maps 'own'; write cosmos_transfer1 or "):
        read_preset(tmp_path)
