"""Recipes: the variants they stand for, seeds that follow from the clip alone, and one sentence for every bad one."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from damage import ODD_VALUES, spoiled_bytes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline_core.batch.checks import CHECKS
from pipeline_core.batch.recipe import Recipe, load_recipe, parse_recipe
from pipeline_core.errors import UserError
from pipeline_core.job.settings import EnhanceSettings, resolve
from pipeline_core.job.table import SETTINGS
from pipeline_core.models.folders.preset import Preset
from pipeline_core.perception.captions import LOOKS
from pipeline_core.world import LOOKS as WORLD_LOOKS
from pipeline_core.world import caption, make_scene
from pipeline_core.world.captions import description


@dataclass(frozen=True)
class Source:
    id: str
    buffers: str | None = None


CLIP = Source("town__a")
FULL = """
looks: {day: {}, night: {cfg: 2.5, cfg_range: [0, 1.5]}, rain: }
prompts:
  golden: a photorealistic dashcam video at golden hour, {caption}
  spring:
    prompt: a street in spring
    negative_prompt: winter
draws: 2
seed: 7
settings: {noise_blend: 0.3, controls: "edge=1,depth=0.5", anchor_colours: on}
gate:
  thresholds: {jumps: 0.05, edge_f1: null}
  retry: [{strength: 0.8}, {guidance_reach: 0.1, steps: 30}]
  best_of: 3
"""


def read(tmp_path, text):
    path = tmp_path / "r.yaml"
    path.write_text(text, encoding="utf-8")
    return load_recipe(path)


@pytest.fixture
def full(tmp_path):
    return read(tmp_path, FULL)


def test_without_a_recipe_a_clip_gets_one_variant_by_the_models_own_preset():
    (variant,) = load_recipe(None).variants(CLIP)
    assert (variant.name, variant.settings, variant.look, variant.draw) == ("default-0", {}, None, 0)


def test_a_recipe_is_the_grid_of_looks_prompts_and_draws(full):
    variants = full.variants(CLIP, "one car")
    names = ["day", "night", "rain", "golden", "spring"]
    assert [v.name for v in variants] == [f"{name}-{draw}" for draw in (0, 1) for name in names]
    by_name = {v.name: v for v in variants}
    assert by_name["night-0"].settings == {
        "prompt": "a photorealistic dashcam video, at night, street lights, one car",
        "noise_blend": 0.3,
        "controls": {"edge": 1.0, "depth": 0.5},
        "anchor_colours": True,
        "cfg": 2.5,
        "cfg_range": (0, 1.5),
    }
    assert by_name["golden-1"].settings["prompt"] == "a photorealistic dashcam video at golden hour, one car"
    assert by_name["spring-1"].settings["prompt"] == "a street in spring"
    assert by_name["spring-1"].settings["negative_prompt"] == "winter"
    for variant in variants:  # every one is a job that starts
        resolve(EnhanceSettings(**variant.settings, seed=variant.seed), Preset(), "one car")


def test_looks_of_one_draw_share_their_noise_and_nothing_else_does(full):
    seeds = {}
    for clip in (CLIP, Source("town__b")):
        for variant in full.variants(clip):
            seeds.setdefault((clip.id, variant.draw), set()).add(variant.seed)
    assert all(len(values) == 1 for values in seeds.values())
    assert len(set().union(*seeds.values())) == len(seeds) == 4
    apart = parse_recipe({**full.to_dict(), "same_noise": False}).variants(CLIP)
    assert len({v.seed for v in apart}) == len(apart)


def test_drawn_variants_follow_from_the_clip_and_share_the_looks_evenly(full):
    some = parse_recipe({**full.to_dict(), "variants_per_clip": 2})
    counts = dict.fromkeys([*full.looks, *full.prompts], 0)
    for number in range(500):
        clip = Source(f"clip {number}")
        chosen = some.variants(clip)
        assert chosen == some.variants(clip) and len({v.name for v in chosen}) == 2
        everything = full.variants(clip)
        assert all(variant in everything for variant in chosen)  # how many does not change what each is
        for variant in chosen:
            counts[variant.name.rpartition("-")[0]] += 1
    assert all(150 < count < 250 for count in counts.values()), counts  # of 1000; 200 +- 4 deviations
    assert len(parse_recipe({**full.to_dict(), "variants_per_clip": 99}).variants(CLIP)) == 10


def test_looks_are_said_in_the_words_that_the_embedded_model_was_trained_with():
    scene = make_scene(800_000)
    assert LOOKS.keys() == WORLD_LOOKS.keys()
    recipe = Recipe(looks=dict.fromkeys(LOOKS, {}))
    for variant in recipe.variants(CLIP, description(scene)):
        assert variant.settings["prompt"] == caption(scene, f"photoreal.{variant.look}")


def test_a_prompt_set_words_all_three_prompts():
    recipe = parse_recipe({"looks": ["fog"], "prompt_set": "video realism"})
    settings = recipe.variants(CLIP, "A car waits.")[0].settings
    assert settings["prompt"].startswith("A car waits. Thick fog lies over the street and hides what is far away. Mas")
    assert settings["inversion_prompt"] == "A car waits." and "cartoonish" in settings["negative_prompt"]


def test_the_recipe_of_the_documentation_is_one(tmp_path):
    page = Path(__file__).parents[2] / "docs" / "recipes.md"
    example = [line[4:] for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("    ")]
    recipe = read(tmp_path, "\n".join(example))
    assert len(recipe.variants(CLIP)) == 3 and recipe.gate.best_of == 2


def test_a_prompt_for_all_says_where_the_caption_goes():
    (variant,) = parse_recipe({"settings": {"prompt": "dusk, {caption}"}}).variants(CLIP)
    assert variant.settings == {"prompt": "dusk, a drive through a city street"}


def test_what_the_manifest_holds_is_the_same_recipe(full):
    for recipe in (full, Recipe(), parse_recipe({"gate": False})):
        assert parse_recipe(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_the_gate_of_a_recipe(full):
    usual = {name: check.limit for name, check in CHECKS.items()}
    assert full.gate.limits() == {**usual, "jumps": 0.05, "edge_f1": None}
    assert full.gate.retry == ({"strength": 0.8}, {"guidance_reach": 0.1, "steps": 30}) and full.gate.best_of == 3
    limits = load_recipe(None).gate.limits
    assert limits() == limits("day") == usual and limits("night") == {**usual, "invented_most": None}
    assert limits("fog") == {**usual, "object_least": None, "light_least": None, "invented_most": None}
    assert limits("snow") == {**usual, "object_least": None, "invented_most": None}
    own = parse_recipe({"gate": {"thresholds": {"object_least": 0.1}}}).gate
    assert own.limits("fog")["object_least"] == own.limits()["object_least"] == 0.1
    assert parse_recipe({"gate": False}).gate is None and parse_recipe({"gate": True}).gate == Recipe().gate


BAD = {
    "lookz: [day]": "no key 'lookz'",
    "looks: [day, noon]": "looks has no key 'noon', only day",
    "looks: day": "looks is 'day'",
    "looks: [day, day]": "looks has 'day' twice",
    "looks: [[day]]": "must be a list of day",
    "looks: {day: {prompt: x}}": "looks.day has no key 'prompt'",
    "looks: {day: {cfg: 99}}": "looks.day.cfg is 99 but must be from 0 to 50",
    "prompts: {night: x}": "prompts has the name 'night'",
    "prompts: {../x: x}": "prompts has the name '../x'",
    "prompts: {a: {cfg: 1}}": "prompts.a has no prompt",
    "prompts: {a: 5}": "prompts.a is 5",
    "prompts: [a]": "prompts is ['a']",
    "draws: 0": "draws is 0 but must be a whole number from 1 to 1000",
    "draws: 2": "draws is more than 1 but inverted noise leaves nothing to chance for default",
    "gate: {best_of: 2}": "gate.best_of is more than 1 but inverted noise",
    "{draws: 2, settings: {noise_blend: 0.3}, looks: {day: {noise_blend: 0}}}": "chance for day",
    "{settings: {noise_blend: 1}, gate: {best_of: 2, retry: [{noise_blend: 0}]}}": "gate.retry[0] of default",
    "seed: -1": "seed is -1",
    "seed: true": "seed is True",
    "variants_per_clip: 1.5": "variants_per_clip is 1.5",
    "same_noise: 3": "same_noise is 3 but must be on or off",
    "prompt_set: poems": "prompt_set is 'poems' but must be one of embedded",
    "settings: {seed: 1}": "settings has no key 'seed'",
    "settings: {steps: many}": "settings.steps is 'many' but must be a whole number",
    "{looks: [day], settings: {prompt: x}}": "settings has a prompt but",
    "gate: 3": "gate is 3",
    "gate: 1": "gate is 1",
    "gate: {thresholds: {beauty: 1}}": "gate.thresholds has no key 'beauty', only lamp_least",
    "gate: {thresholds: {edge_f1: 2}}": "gate.thresholds.edge_f1 is 2 but must be from 0 to 1",
    "gate: {retry: {cfg: 1}}": "gate.retry is {'cfg': 1}",
    "gate: {thresholds: []}": "gate.thresholds is []",
    "gate: {retry: [{cfg: -1}]}": "gate.retry[0].cfg is -1",
    "- day": "is not a list of keys and values",
    "looks: [day": "is not valid YAML",
    "looks: !!python/name:os.system": "is not valid YAML",
    "{a: &x [1], b: *x}": "has an alias",
    "{draws: 1, draws: 2}": "the key 'draws' twice",
    "{yes: 1}": "the key True",
    "[" * 100_000: "nested deeper than 16",
    "a: 2026-99-99": "is not valid YAML",
    "x" * (1 << 21): "MB but at most",
}


@pytest.mark.parametrize("text, said", BAD.items(), ids=lambda value: value[:30])
def test_a_bad_recipe_is_one_sentence_that_names_the_key(tmp_path, text, said):
    with pytest.raises(UserError) as error:
        read(tmp_path, text)
    sentence = str(error.value)
    assert said in sentence and sentence.endswith(".") and "\n" not in sentence


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(content=spoiled_bytes(FULL.encode()))
def test_a_damaged_recipe_is_refused_in_a_sentence_or_is_another_recipe(tmp_path, content):
    (tmp_path / "r.yaml").write_bytes(content)
    try:
        load_recipe(tmp_path / "r.yaml").variants(CLIP)
    except UserError as error:
        assert str(error).endswith(".") and "\n" not in str(error)


KEYS = [*Recipe.__dataclass_fields__, "thresholds", "retry", "best_of", "prompt", *LOOKS, *CHECKS, *SETTINGS]
VALUES = st.recursive(
    st.sampled_from([*ODD_VALUES, *KEYS, 1, 2, 0.3, "edge=1", [0, 1]]),
    lambda held: st.lists(held, max_size=3) | st.dictionaries(st.sampled_from(KEYS), held, max_size=4),
    max_leaves=12,
)
SOUND = yaml.safe_load(FULL)


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    changes=st.dictionaries(st.sampled_from([*Recipe.__dataclass_fields__]), VALUES, max_size=3), whole=st.booleans()
)
def test_any_recipe_is_refused_in_a_sentence_or_makes_jobs_that_start(changes, whole):
    """And what it makes is of one seed a draw, of distinct names, and the same when the manifest is read again."""
    try:
        recipe = parse_recipe({**(SOUND if whole else {}), **changes})
    except UserError as error:
        assert str(error).endswith(".") and "\n" not in str(error)
        return
    variants = recipe.variants(CLIP, "one car")
    assert variants and len({v.name for v in variants}) == len(variants)
    assert recipe.variants_per_clip is None or len(variants) <= recipe.variants_per_clip
    for variant in variants:
        for name, value in variant.settings.items():
            SETTINGS[name].check(name, value)
    if recipe.same_noise:
        assert len({(v.draw, v.seed) for v in variants}) == len({v.draw for v in variants})
    again = parse_recipe(json.loads(json.dumps(recipe.to_dict())))
    assert again == recipe and again.variants(CLIP, "one car") == variants
