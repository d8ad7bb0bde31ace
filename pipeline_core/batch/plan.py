"""What a run is to make: every variant of every clip, with the hashes that tell whether it is there already."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..doors import read_json
from ..errors import UserError
from ..job.dials import job_settings
from ..job.settings import resolve
from ..models.folders.loading import EMBEDDED
from ..models.folders.preset_file import read_preset
from ..video.files import write_json
from .clips import Source, find_clips
from .hashes import Input, code_hash, hash_of_values, input_of, model_hash
from .networks import NetworkChoice
from .recipe import Recipe
from .rows import VERSION, Task, plain

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Plan:
    """tasks: of this run's shard. sources: of the whole folder, with what they hold. settings: go before the recipe's.
    names: of all results of the whole folder."""

    folder: Path
    out: Path
    recipe: Recipe
    settings: dict
    choice: NetworkChoice
    sources: list[tuple[Source, Input]]
    tasks: list[Task]
    names: frozenset[str]

    def manifest(self) -> dict:
        """Plain data: what is made from what, and how."""
        return {
            "version": VERSION,
            "input": os.path.abspath(self.folder),
            "recipe": {**self.recipe.to_dict(), "given": self.settings},
            "networks": asdict(self.choice),
            "hashes": {
                "settings": hash_of_values([self.recipe.to_dict(), self.settings]),
                "model": model_hash(self.choice),
                "code": code_hash(),
            },
            "clips": [self._entry(source, content) for source, content in self.sources],
        }

    def _entry(self, source: Source, content: Input) -> dict:
        clip, buffers = (
            None if path is None else path.relative_to(self.folder).as_posix() for path in (source.clip, source.buffers)
        )
        return {"id": source.id, "clip": clip, "buffers": buffers, **asdict(content)}


def make_plan(
    folder: Path,
    out: Path,
    recipe: Recipe,
    choice: NetworkChoice,
    settings: Mapping[str, object] = {},
    shard: tuple[int, int] = (1, 1),
) -> Plan:
    """settings: of job/table.py, which go before the recipe's; a seed among them replaces every seed. shard: (i, n),
    every n-th clip from the i-th on, counted from 1.

    UserError as `find_clips`, for a model folder that is none, and for settings that the model does not take.
    """
    earlier = _earlier_inputs(folder, out)
    sources = [(source, input_of(source, out, earlier.get(source.id, Input()))) for source in find_clips(folder, out)]
    preset = read_preset(Path(choice.model) if choice.model else EMBEDDED)
    known, tasks, names, checked = {"model": model_hash(choice), "code": code_hash()}, [], set(), set()
    for place, (source, content) in enumerate(sources):
        variants = recipe.variants(source)
        names |= {Task(source, variant, {}).name for variant in variants}
        for variant in variants if (place + 1 - shard[0]) % shard[1] == 0 else ():
            seed = settings.get("seed", variant.seed)
            own = {name: value for name, value in settings.items() if name != "seed"}
            variant = replace(variant, settings={**variant.settings, **own}, seed=seed)
            if variant.name not in checked:
                resolve(job_settings(preset, {**variant.settings, "seed": seed}), preset)
                checked.add(variant.name)
            hashes = {"input": content.hash, "settings": hash_of_values([asdict(variant), _gate(recipe)]), **known}
            tasks.append(Task(source, variant, hashes))
    return Plan(folder, out, recipe, dict(settings), choice, sources, tasks, frozenset(names))


def _gate(recipe: Recipe) -> dict | None:
    return None if recipe.gate is None else recipe.gate.to_dict()


def _earlier_inputs(folder: Path, out: Path) -> dict[str, Input]:
    """Name of a clip -> what the manifest in `out` says that its files hold."""
    try:
        manifest = read_json(out / MANIFEST, "remove it", None)
        if manifest["version"] != VERSION or manifest["input"] != os.path.abspath(folder):
            return {}
        return {clip["id"]: Input(clip["hash"], clip.get("stamp")) for clip in manifest["clips"]}
    except (UserError, LookupError, TypeError, AttributeError):
        return {}  # none is there, or one that is written anew


def write_manifest(plan: Plan) -> None:
    """manifest.json of the batch's folder, which is made, unless it says the same already. UserError as
    `make_folder`."""
    path = make_folder(plan.out) / MANIFEST
    content = plain(plan.manifest())
    if not path.is_file() or read_json(path, "remove it", None) != content:
        write_json(path, content)


def make_folder(out: Path) -> Path:
    """The batch's folder, made; UserError where it is there and holds something else than a batch."""
    if out.is_dir() and not (out / MANIFEST).is_file() and any(out.iterdir()):
        raise UserError(f"{out} holds something else than a batch: give a new or empty folder.")
    out.mkdir(parents=True, exist_ok=True)
    return out
