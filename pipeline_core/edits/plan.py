"""What a pair set is made of: its clips, the triples of each, and the hashes that tell whether a pair is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from random import Random

from ..batch.clips import Source, find_clips
from ..batch.hashes import code_hash, hash_of_values, input_of, model_hash
from ..batch.networks import NetworkChoice
from ..conditions.buffers import scene_description
from ..doors import read_json
from ..errors import UserError
from ..models.folders.loading import EMBEDDED
from ..models.folders.preset_file import read_preset
from ..perception.captions import LOOKS, PROMPT_SETS
from ..video.files import write_json
from ..world import STYLES
from .grammar import caption_in_look, caption_in_style, write_edits
from .pairs import PairSettings
from .triples import Triple, unique

BY = ("model", "exact")
_TRIPLES = "triples.json"
_MAKERS = ("alignment", "replacement", "pairs")  # of this room
_TRIES = 8  # captions that are tried, for each pair, until enough edits differ

Describe = Callable[[Path], str]
Write = Callable[[str, int, int], "list[Triple]"]


@dataclass(frozen=True)
class PairRecipe:
    """pairs: of each clip. edits: families of the grammar. by: "model" (Prompt-to-Prompt) or "exact" (the world's).
    frames: of each pair, None is the model's window. seed: all seeds follow from it and from the clip's id."""

    pairs: int = 4
    edits: tuple[str, ...] = ("look", "style")
    by: str = "model"
    frames: int | None = None
    seed: int = 0
    settings: PairSettings = field(default_factory=PairSettings)

    def __post_init__(self) -> None:
        if not 1 <= self.pairs <= 10_000:
            raise UserError(f"pairs is {self.pairs} but must be from 1 to 10000: change pairs.")
        if self.by not in BY:
            raise UserError(f"by is {self.by!r} but must be one of {', '.join(BY)}: change by.")
        if self.frames is not None and self.frames < 1:
            raise UserError(f"frames is {self.frames} but must be at least 1: change frames.")


@dataclass(frozen=True)
class PairTask:
    """Pair `number` of a clip. hashes: what it is made from."""

    source: Source
    number: int
    triple: Triple
    seed: int
    hashes: dict

    @property
    def name(self) -> str:
        return f"{self.source.id}.{self.number:03d}"

    def file(self, out: Path, ending: str) -> Path:
        return folder_of(out, self.source.id) / f"{self.number:03d}.{ending}"


def folder_of(out: Path, clip: str) -> Path:
    return out / "pairs" / clip


def plan_pairs(
    folder: Path,
    out: Path,
    recipe: PairRecipe,
    choice: NetworkChoice,
    triples: Sequence[Triple] | None = None,
    write: Write | None = None,
    describe: Describe | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> list[PairTask]:
    """The pairs of every clip below a folder, in the order of clips.

    Triples come from `triples`, dealt to the clips one by one; else by `write` (a language model's); else by the
    grammar. They rest in `out`, so that they are written once. describe: says what a clip shows where its buffers do
    not; default: the plain words for any drive. say: gets a sentence on every clip that is left out. UserError as
    `find_clips`, and where no clip got a triple.
    """
    networks = {"model": model_hash(choice) if recipe.by == "model" else None, "code": _code()}
    settings, tasks, dealt = hash_of_values(asdict(recipe)), [], 0
    for source in find_clips(folder, out):
        held = input_of(source, out).hash
        if triples is not None:
            count = min(recipe.pairs, len(triples))
            own = [triples[(dealt + place) % len(triples)] for place in range(count)]
            dealt += count
        else:
            key = hash_of_values([held, settings, choice.model, write is not None, describe is not None])
            try:
                own = _resting(out, key, source, recipe, choice, write, describe)
            except UserError as error:
                say(f"{source.clip} is left out: {error}")
                continue
            if not own:
                say(f"{source.clip} is left out: no edit could be written for it.")
        for number, triple in enumerate(own):
            seed = Random(f"{recipe.seed} {source.id} {number}").randrange(2**31)
            hashes = {"input": held, "settings": hash_of_values([settings, triple.to_dict(), seed]), **networks}
            tasks.append(PairTask(source, number, triple, seed, hashes))
    if not tasks:
        raise UserError(f"No edit could be written for any clip of {folder}: give triples, or another language model.")
    return tasks


def _resting(out: Path, key: str, source: Source, recipe: PairRecipe, choice: NetworkChoice, write, describe):
    """The triples of a clip that rest in a file, or are written into it now."""
    path = folder_of(out, source.id) / _TRIPLES
    try:
        content = read_json(path, "remove it")
        if content["hash"] == key:
            return [Triple(**{**values, "styles": _pair(values.get("styles"))}) for values in content["triples"]]
    except (UserError, LookupError, TypeError):
        pass  # none is there, or one that is written anew
    triples = clip_triples(source, recipe, choice, write, describe)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"hash": key, "triples": [triple.to_dict() for triple in triples]})
    return triples


@cache
def _code() -> str:
    """Of the code that a pair depends on."""
    own = [Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8") for name in _MAKERS]
    return hash_of_values([code_hash(), *own])


def _pair(styles: list | None) -> tuple | None:
    return None if styles is None else tuple(styles)


def clip_triples(
    source: Source,
    recipe: PairRecipe,
    choice: NetworkChoice = NetworkChoice(),
    write: Write | None = None,
    describe: Describe | None = None,
) -> list[Triple]:
    """Up to `recipe.pairs` different triples of a clip. UserError as `describe` and `write` raise it."""
    description = scene_description(source.buffers)
    if not description:
        description = describe(source.clip) if describe else PROMPT_SETS["video realism"].plain
    rng = Random(f"{recipe.seed} {source.id}")
    triples: list[Triple] = []
    for _ in range(_TRIES * recipe.pairs):
        caption = _caption(description, recipe, choice, rng)
        wanted = recipe.pairs - len(triples)
        if write is None:
            new = write_edits(caption, 1, rng, recipe.edits)
        else:
            new = write(caption, wanted, rng.randrange(2**31))
        triples = unique([*triples, *new])[: recipe.pairs]
        if len(triples) == recipe.pairs or (write is not None and not new):
            break
    return triples


def _caption(description: str, recipe: PairRecipe, choice: NetworkChoice, rng: Random) -> str:
    """A caption for the source: of the clip as it is where its own noise is used, else in any look, in the words of the
    model: the embedded one's, or sentences."""
    preset = read_preset(Path(choice.model) if choice.model else EMBEDDED)
    if recipe.by == "model" and recipe.settings.start == "inversion":
        return f"{preset.inversion_prompt}, {description}" if preset.inversion_prompt else description
    if recipe.by == "exact" or preset.name == "embedded":
        return caption_in_style(description, rng.choice([style for style in STYLES if style != "photoreal"]), rng)
    return caption_in_look(description, rng.choice(tuple(LOOKS)))
