"""Recipes: which variants are made of every clip, and how good they have to be. docs/recipes.md shows one."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Protocol

from ..conditions.buffers import scene_description
from ..doors import read_yaml
from ..errors import UserError, shown
from ..job.table import SETTINGS, Setting
from ..perception.captions import LOOKS, PROMPT_SETS, compose
from .checks import CHECKS
from .rules import GateRules, legal_limit

EMBEDDED, DEFAULT = "embedded", "default"  # the variant of a recipe without looks and prompts: the model's own
MOST_DRAWS, MOST_NAMES, MOST_RETRIES = 1000, 1000, 10
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_PROMPTS = ("prompt", "negative_prompt", "inversion_prompt")
_CHANGE = "change the recipe"


class Clip(Protocol):
    """What a recipe wants to know of a clip: `id`, its name in the batch, and its buffers folder or None."""

    id: str
    buffers: str | os.PathLike | None


@dataclass(frozen=True)
class Variant:
    """One result to make of one clip.

    name: `<look or prompt>-<draw>`. settings: of job/table.py by name, without the seed, to go before the model's
    preset. look: one of `LOOKS`, or None. draw: counted from 0. seed: of the random noise.
    """

    name: str
    settings: dict
    look: str | None
    draw: int
    seed: int


@dataclass(frozen=True)
class Recipe:
    """What `load_recipe` reads; the defaults are those of no recipe: one variant by the model's preset, and the gate.

    looks, prompts: name -> settings of its own, of built-in looks and of prompts of one's own. draws: how many times
    each, with noise of its own. variants_per_clip: how many of all these a clip gets, drawn by its id, so that a set
    has all looks in equal shares; None is all. seed: all seeds follow from it and from the clip's id. same_noise: the
    looks of one draw share their seed. prompt_set: wording of all three prompts; None leaves what source and result are
    not to look like to the model's preset, and names looks in the embedded model's words. settings: of every variant.
    gate: None takes every result.
    """

    looks: dict[str, dict] = field(default_factory=dict)
    prompts: dict[str, dict] = field(default_factory=dict)
    draws: int = 1
    variants_per_clip: int | None = None
    seed: int = 0
    same_noise: bool = True
    prompt_set: str | None = None
    settings: dict = field(default_factory=dict)
    gate: GateRules | None = field(default_factory=GateRules)

    def variants(self, source: Clip, description: str | None = None) -> list[Variant]:
        """The variants of one clip, the same on every machine and in every order of clips.

        description: what is in the clip, in words; None is what its buffers say.
        """
        description = scene_description(source.buffers) if description is None else description
        names = [*self.looks, *self.prompts] or [DEFAULT]
        wanted = [(name, draw) for draw in range(self.draws) for name in names]
        if self.variants_per_clip is not None:
            wanted = self._drawn(source, names)
        return [self._variant(source, name, draw, description) for name, draw in wanted]

    def _drawn(self, source: Clip, names: list[str]) -> list[tuple[str, int]]:
        """`variants_per_clip` of all names and draws, in rounds in which no name comes twice."""
        ranked = [
            (draw, number_of(self.seed, source.id, "which", name, draw), name)
            for draw in range(self.draws)
            for name in names
        ]
        return [(name, draw) for draw, _, name in sorted(ranked)[: self.variants_per_clip]]

    def _variant(self, source: Clip, name: str, draw: int, description: str) -> Variant:
        look, own = name if name in self.looks else None, {**self.settings, **self.own(name)}
        if "prompt" in own:
            own["prompt"] = _with_caption(own["prompt"], description, self.prompt_set)
        settings = {**self._words(look, description), **own}
        noise = (draw,) if self.same_noise else (draw, name)
        return Variant(f"{name}-{draw}", settings, look, draw, number_of(self.seed, source.id, "noise", *noise))

    def own(self, name: str) -> dict:
        """The settings that a look or a prompt of one's own brings."""
        return {**self.looks, **self.prompts}.get(name, {})

    def _words(self, look: str | None, description: str) -> dict:
        """The prompts that the wording gives, by the names of the settings; none where the model's own are meant."""
        prompts = compose(self.prompt_set or EMBEDDED, description, look)
        if self.prompt_set is not None:
            return dict(zip(_PROMPTS, (prompts.positive, prompts.negative, prompts.inversion)))
        return {} if look is None else {"prompt": prompts.positive}

    def to_dict(self) -> dict:
        """Plain data for the manifest, which `parse_recipe` reads as the same recipe."""
        values = asdict(self)
        if self.gate is None:
            values["gate"] = False
        return values


def load_recipe(path: str | os.PathLike | None) -> Recipe:
    """The recipe in a YAML file; None is the default recipe.

    UserError, in one sentence that names the key, for a file that is none and for values that are not legal.
    """
    return Recipe() if path is None else parse_recipe(read_yaml(path, "give a recipe (see docs/recipes.md)"))


def parse_recipe(values: Mapping) -> Recipe:
    """`load_recipe` for what a file holds."""
    keys = _known(values, Recipe.__dataclass_fields__, "recipe")
    looks, prompts = _looks(keys.get("looks")), _prompts(keys.get("prompts"))
    recipe = Recipe(
        looks=looks,
        prompts=prompts,
        draws=_count("draws", keys.get("draws", 1), 1, MOST_DRAWS),
        variants_per_clip=_or_none("variants_per_clip", keys, Setting("", "count", 1, MOST_NAMES)),
        seed=_count("seed", keys.get("seed", 0), 0, 2**63 - 1),
        same_noise=_value("same_noise", Setting("", "switch"), keys.get("same_noise", True)),
        prompt_set=_or_none("prompt_set", keys, Setting("", "choice", choices=tuple(PROMPT_SETS))),
        settings=_settings("settings", keys.get("settings")),
        gate=_gate(keys.get("gate", {})),
    )
    if (looks or prompts) and "prompt" in recipe.settings:
        raise UserError("settings has a prompt but looks and prompts bring theirs: take it out of settings.")
    _check_chance(recipe)
    return recipe


def _known(values, names, what: str) -> dict:
    """The mapping as a dict; UserError for what is none, and for a key that is not among `names`."""
    if not isinstance(values, Mapping):
        raise UserError(f"{what} is {shown(values)} but must be keys and values: {_CHANGE}.")
    for key in values:
        if key not in names:
            raise UserError(f"{what} has no key {shown(key)}, only {', '.join(names)}: {_CHANGE}.")
    return dict(values)


def _looks(values) -> dict[str, dict]:
    """A list of names, or a mapping of names to settings of their own."""
    if values is None:
        return {}
    if isinstance(values, list):
        for place, name in enumerate(values):
            if name in values[:place]:
                raise UserError(f"looks has {shown(name)} twice: give it once, and draws for several results of it.")
        if not all(isinstance(name, str) for name in values):
            raise UserError(f"looks is {shown(values)} but must be a list of {', '.join(LOOKS)}: {_CHANGE}.")
        values = dict.fromkeys(values)
    return {name: _settings(f"looks.{name}", own, ("prompt",)) for name, own in _known(values, LOOKS, "looks").items()}


def _prompts(values) -> dict[str, dict]:
    """A mapping of names to a text, or to settings with a prompt among them."""
    if values is None:
        return {}
    if not isinstance(values, Mapping) or len(values) > MOST_NAMES:
        raise UserError(f"prompts is {shown(values)} but must be up to {MOST_NAMES} names and their texts: {_CHANGE}.")
    prompts = {}
    for name, own in values.items():
        if not (isinstance(name, str) and NAME.fullmatch(name)) or name in LOOKS or name == DEFAULT:
            raise UserError(
                f"prompts has the name {shown(name)} but names are of a-z, 0-9, - and _, at most 40, no look's and not "
                f"{DEFAULT}: change it."
            )
        prompts[name] = _settings(f"prompts.{name}", {"prompt": own} if isinstance(own, str) else own)
        if "prompt" not in prompts[name]:
            raise UserError(f"prompts.{name} has no prompt: give it a text.")
    return prompts


def _settings(what: str, values, refused: tuple[str, ...] = ()) -> dict:
    """Settings of the job, each legal; texts are read as on the command line."""
    names = [name for name in SETTINGS if name not in ("seed", *refused)]
    settings = {}
    for name, value in _known(_or_empty(values), names, what).items():
        settings[name] = _value(f"{what}.{name}", SETTINGS[name], value)
    return settings


def _value(name: str, setting: Setting, value):
    if isinstance(value, str) and setting.kind not in ("text", "choice"):
        return setting.parse(name, value)
    setting.check(name, value)
    return tuple(value) if setting.kind == "interval" else value


def _or_empty(values, empty=MappingProxyType({})):
    """What stands behind a key, or nothing where nothing does."""
    return empty if values is None else values


def _or_none(name: str, keys: dict, setting: Setting):
    return None if keys.get(name) is None else _value(name, setting, keys[name])


def _count(name: str, value, low: int, high: int) -> int:
    return _value(name, Setting("", "count", low, high), value)


def _gate(values) -> GateRules | None:
    """False is no gate; a mapping changes what it says."""
    if values is False:
        return None
    keys = _known({} if values is True or values is None else values, GateRules.__dataclass_fields__, "gate")
    limits: dict[str, float | None] = {}
    for name, limit in _known(_or_empty(keys.get("thresholds")), CHECKS, "gate.thresholds").items():
        if limit is not None:
            limit = float(_value(f"gate.thresholds.{name}", legal_limit(name), limit))
        limits[name] = limit
    retries = _or_empty(keys.get("retry"), [])
    if not isinstance(retries, (list, tuple)) or len(retries) > MOST_RETRIES:
        raise UserError(
            f"gate.retry is {shown(retries)} but must be a list of up to {MOST_RETRIES} settings: {_CHANGE}."
        )
    return GateRules(
        limits,
        tuple(_settings(f"gate.retry[{i}]", retry, ("prompt",)) for i, retry in enumerate(retries)),
        _count("gate.best_of", keys.get("best_of", 1), 1, MOST_DRAWS),
    )


def _check_chance(recipe: Recipe) -> None:
    """UserError where several results of one look would be one and the same, for nothing in them is random."""
    rules = recipe.gate or GateRules()
    asked = [name for name, count in (("draws", recipe.draws), ("gate.best_of", rules.best_of)) if count > 1]
    retries = {f"gate.retry[{i}] of ": retry for i, retry in enumerate(rules.retry) if rules.best_of > 1}
    for name in [*recipe.looks, *recipe.prompts] or [DEFAULT]:
        for where, changes in {"": {}, **retries}.items():
            settings = {**recipe.settings, **recipe.own(name), **changes}
            random = settings.get("noise_blend", 0) > 0 or settings.get("start", "inversion") != "inversion"
            if asked and not random:
                raise UserError(
                    f"{asked[0]} is more than 1 but inverted noise leaves nothing to chance for {where}{name}: give "
                    "settings a noise_blend above 0 (0.3 is a start), or a start that is not inversion."
                )


def _with_caption(text: str, description: str, prompt_set: str | None) -> str:
    """`{caption}` in a prompt of one's own is what the clip shows, as in the prompt sets."""
    return text.replace("{caption}", " ".join(description.split()) or PROMPT_SETS[prompt_set or EMBEDDED].plain)


def number_of(*parts: object) -> int:
    """A seed in [0, 2**63) that follows from the parts alone, the same on every machine."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
