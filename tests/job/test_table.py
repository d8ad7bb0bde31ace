"""The table of settings against the dataclass, the command line and the node text, which are made from it."""

import argparse
from dataclasses import fields

import pytest

from pipeline_core.cli import enhance as command
from pipeline_core.errors import UserError
from pipeline_core.job.dials import job_settings
from pipeline_core.job.settings import EnhanceSettings, resolve
from pipeline_core.job.table import SETTINGS, parse_settings
from pipeline_core.models.folders.preset import Preset

# A legal value for every setting, none of them its default, as a text.
OTHER = {
    "prompt": "at night",
    "negative_prompt": "blur",
    "inversion_prompt": "a game",
    "start": "calibration",
    "strength": "0.7",
    "cfg": "2.5",
    "cfg_range": "0.5 3",
    "guidance_reach": "0.1",
    "steps": "7",
    "controls": "edge=0.5",
    "method": "heun",
    "inversion_steps": "4",
    "noise_blend": "0.25",
    "solver": "ddim",
    "calibration_rounds": "3",
    "calibration_nu": "0.75",
    "calibration_prompt": "inversion",
    "cache": "0.1",
    "seed": "12",
    "handover": "mean",
    "handover_share": "0.5",
    "anchor": "0.25",
    "anchor_colours": "on",
    "stitch": "flow",
    "detail": "0.5",
    "refine": "0.2",
    "refine_start": "inversion",
    "simdrop": "0.2",
    "simdrop_range": "0.1 5",
    "simdrop_rescale": "0.5",
    "simdrop_low": "0.5",
    "hold_signs": "0.7",
    "video_scale": "1.5",
}
ILLEGAL = {
    "strength": "0",
    "cfg": "nan",
    "cfg_range": "3 1",
    "steps": "2.5",
    "controls": "edge",
    "method": "magic",
    "calibration_nu": "0",
    "seed": str(2**63),
    "anchor_colours": "maybe",
}


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(["in.mp4", "-o", "out.mp4", *arguments])


def test_every_setting_of_a_job_is_in_the_table_and_nothing_else():
    assert list(SETTINGS) != [] and set(SETTINGS) == {field.name for field in fields(EnhanceSettings)} == set(OTHER)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_reaches_the_job_from_the_command_line_and_from_a_node_alike(name):
    setting, text = SETTINGS[name], OTHER[name]
    words = {"switch": [], "interval": text.split()}.get(setting.kind, [text])
    by_command = command.given_settings(options(setting.option or f"--{name.replace('_', '-')}", *words))
    by_node = parse_settings(f"{name} = {text}  # why")
    assert by_command == by_node == {name: by_node[name]}
    resolved = resolve(job_settings(Preset(), by_node), Preset())
    assert getattr(resolved, name) == by_node[name] != getattr(resolve(EnhanceSettings(), Preset()), name)


@pytest.mark.parametrize("name", ILLEGAL)
def test_an_illegal_value_is_one_sentence_that_names_the_setting(name):
    with pytest.raises(UserError, match=name if name != "controls" else "edge=1"):
        parse_settings(f"{name} = {ILLEGAL[name]}")


def test_several_settings_in_one_text_and_what_is_no_setting():
    assert parse_settings("cfg = 2; steps=5\n\n# nothing\n") == {"cfg": 2.0, "steps": 5}
    assert parse_settings("") == {}
    for text, sentence in {"tempo = 3": "tempo", "cfg": "name = value", "cfg=1; cfg=2": "twice"}.items():
        with pytest.raises(UserError, match=sentence):
            parse_settings(text)


def test_what_is_named_goes_before_the_dials():
    turned = job_settings(Preset(), {"cfg": 4.0}, realism=1.0)
    assert turned.cfg == 4.0 and turned.strength == job_settings(Preset(), {}, realism=1.0).strength
    assert job_settings(Preset(), {"cfg": 4.0}) == EnhanceSettings(cfg=4.0)
