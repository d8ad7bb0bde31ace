"""Pairs of clips for edits by instruction: write the prompts, make the pairs of a folder's clips, filter them."""

import argparse
from collections.abc import Callable
from pathlib import Path

from ..batch.clips import find_clips
from ..batch.networks import NetworkChoice, load_networks
from ..batch.rows import DONE
from ..devices import chosen_device
from ..doors import check_paths, writable
from ..doors.limits import SEEDS, check_range
from ..edits.alignment import ALIGNMENTS
from ..edits.diversity import diversity, format_diversity
from ..edits.filter import INDEX, Judge, filter_pairs, list_pairs, load_judge, summary
from ..edits.grammar import EDITS
from ..edits.make import make_pairs
from ..edits.pairs import STARTS, PairSettings
from ..edits.plan import BY, PairRecipe, PairTask, clip_triples, plan_pairs
from ..edits.replacement import Shares
from ..edits.scores import THRESHOLD_FILE, Thresholds
from ..edits.triples import Triple, read_triples, unique, write_triples
from ..errors import UserError
from ..models.folders.loading import EMBEDDED
from ..models.folders.memory import WEIGHTS
from ..models.folders.precision import PRECISIONS
from ..models.folders.preset_file import read_preset
from ..video.files import write_json
from .bars import progress_bar
from .files import add_device

# Options of the filter: the threshold that each is, and the cosine that it bounds.
LEAST = {
    "text": ("text", "either side and its caption"),
    "alike": ("frames", "the two sides' frames"),
    "direction": ("direction", "the two changes"),
}
MODELS = ("model", "depth_model", "segmentation_model")
_UNFILTERED = "The pairs are not filtered: run pairs filter with --clip-model, a CLIP folder."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    prompts = actions.add_parser("prompts", help="write captions, instructions and edited captions for clips")
    prompts.add_argument("folder", type=Path, metavar="IN", help="folder of clips, or a JSON Lines file of triples")
    prompts.add_argument("-o", "--output", type=Path, required=True, help="JSON Lines file for the triples")
    prompts.add_argument("--json", type=Path, help="write how diverse they are as JSON")
    _add_prompts(prompts)
    prompts.add_argument("--model", type=Path, help="video model whose kind of captions is used, as for enhance")
    add_device(prompts)
    make = actions.add_parser("make", help="make pairs of every clip, filtered; run again, it goes on")
    make.add_argument("folder", type=Path, metavar="IN", help="folder of clips; buffers: CLIP_buffers beside each")
    make.add_argument("out", type=Path, metavar="OUT", help="folder of the pair set, which several runs may share")
    make.add_argument("--triples", type=Path, help="JSON Lines file of triples, dealt to the clips in order")
    _add_prompts(make)
    _add_making(make)
    _add_filter(make)
    add_device(make)
    chosen = actions.add_parser("filter", help="score pairs of clips and say which are good enough")
    chosen.add_argument("out", type=Path, metavar="SET", help="OUT of pairs make; with --list any folder for the rows")
    chosen.add_argument("--list", type=Path, help="JSON Lines: source, edited, caption, instruction, edited_caption")
    _add_filter(chosen)
    add_device(chosen)


def _add_prompts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pairs", type=int, default=4, help="of each clip, default: %(default)d")
    parser.add_argument("--edits", default="look,style", help=f"kinds of edits, some of {','.join(EDITS)}")
    parser.add_argument(
        "--language-model", type=Path, help="transformers folder that writes the edits; default: a grammar"
    )
    parser.add_argument("--caption-model", type=Path, help="as for enhance, for clips whose buffers say nothing")
    parser.add_argument("--seed", type=int, default=0)


def _add_making(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--by", choices=BY, default="model", help="Prompt-to-Prompt, or the world's exact pairs")
    parser.add_argument("--start", choices=STARTS, default="noise", help="fresh noise, or the clip's own")
    parser.add_argument("--cross", type=float, default=0.8, help="share of the steps with attention to words replaced")
    parser.add_argument("--within", type=float, default=0.4, help="share of the steps with self-attention replaced")
    parser.add_argument("--alignment", choices=ALIGNMENTS, default="auto", help="how the captions' words are matched")
    parser.add_argument("--frames", type=int, help="of each pair, at most and by default the model's window")
    parser.add_argument("--steps", type=int, help="as for enhance")
    parser.add_argument("--cfg", type=float, help="as for enhance")
    for name in MODELS:
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, help="as for enhance")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto", help="as for enhance")
    parser.add_argument("--weights", choices=WEIGHTS, default="auto", help="as for enhance")


def _add_filter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--clip-model", type=Path, help="CLIP folder that scores; default: the world's own, if it is there"
    )
    for name, (limit, what) in LEAST.items():
        usual = f"that of the folder's {THRESHOLD_FILE}, or {getattr(Thresholds(), limit):g}, for CLIP ViT-L/14"
        parser.add_argument(f"--{name}", type=float, help=f"least cosine of {what}; default: {usual}")


def run(options: argparse.Namespace) -> None:
    {"prompts": _prompts, "make": _make, "filter": _filter}[options.action](options)


def _prompts(options: argparse.Namespace) -> None:
    check_paths({"IN": options.folder}, {"-o": options.output, "--json": options.json})
    writable(options.output, "the triples", suffixes=(".jsonl",))
    if options.json:
        writable(options.json, "--json", suffixes=(".json",))
    recipe, choice = _recipe(options), NetworkChoice(model=_absolute(options.model))
    triples: list[Triple] = []
    if options.folder.is_file():
        triples = read_triples(options.folder)
    else:
        sources = find_clips(options.folder)
        write, describe = _writers(options)
        with progress_bar("prompts", "clip") as progress:
            for done, source in enumerate(sources, 1):
                triples += clip_triples(source, recipe, choice, write, describe)
                progress(done, len(sources))
    figures = diversity(unique(triples), len(triples))
    write_triples(options.output, unique(triples))
    print(format_diversity(figures))
    if options.json:
        write_json(options.json, figures)


def _make(options: argparse.Namespace) -> None:
    read = {f"--{name.replace('_', '-')}": getattr(options, name) for name in (*MODELS, "triples", "clip_model")}
    check_paths({"IN": options.folder, **read}, {}, {"OUT": options.out})
    _make_folder(options.out)
    chosen_device(options.device)
    recipe, judge = _recipe(options), _judge(options)
    choice = NetworkChoice(
        **{name: _absolute(getattr(options, name)) for name in MODELS}, device=options.device,
        precision=options.precision, weights=options.weights,
    )  # fmt: skip
    triples = read_triples(options.triples) if options.triples else None
    tasks = plan_pairs(options.folder, options.out, recipe, choice, triples, *_writers(options), print)
    print(format_diversity(diversity(unique(task.triple for task in tasks))))
    exact = recipe.by == "exact"
    networks = read_preset(Path(choice.model) if choice.model else EMBEDDED) if exact else load_networks(choice)
    with progress_bar("pairs", "pair") as progress:
        rows = make_pairs(tasks, options.out, recipe, networks, judge, progress)
    _conclude(options.out, rows, judge, tasks)


def _filter(options: argparse.Namespace) -> None:
    judge = _judge(options)
    if judge is None:
        raise UserError("The world's own encoder is not there to score pairs: give --clip-model, a CLIP folder.")
    if options.list:
        check_paths({"--list": options.list}, {"the index": options.out / INDEX})
        _make_folder(options.out)
        list_pairs(options.list, options.list.parent, options.out)
    with progress_bar("filter", "pair") as progress:
        rows = filter_pairs(options.out, judge, progress)
    _conclude(options.out, rows, judge)


def _make_folder(out: Path) -> None:
    writable(out, "the pairs", folder=True)
    if out.is_dir() and any(out.iterdir()) and not (out / "pairs").is_dir():
        raise UserError(f"{out} holds something else than pairs: give a new or empty folder.")
    (out / "pairs").mkdir(parents=True, exist_ok=True)


def _recipe(options: argparse.Namespace) -> PairRecipe:
    check_range("--seed", options.seed, SEEDS)
    edits = tuple(name.strip() for name in options.edits.split(",") if name.strip())
    unknown = [name for name in edits if name not in EDITS]
    if unknown or not edits:
        raise UserError(f"--edits is {options.edits!r} but must be some of {','.join(EDITS)}: change --edits.")
    if options.action == "prompts":
        return PairRecipe(options.pairs, edits, seed=options.seed)
    shares = Shares(options.cross, options.within)
    settings = PairSettings(shares, options.alignment, options.start, options.steps, options.cfg)
    return PairRecipe(options.pairs, edits, options.by, options.frames, options.seed, settings)


def _judge(options: argparse.Namespace) -> Judge | None:
    limits = {limit: getattr(options, name) for name, (limit, _) in LEAST.items()}
    limits = {limit: least for limit, least in limits.items() if least is not None}
    return load_judge(options.clip_model, limits, options.device)


def _writers(options: argparse.Namespace) -> tuple[Callable | None, Callable | None]:
    """What writes edits and what describes clips, where networks of the options do."""
    write = describe = None
    if options.language_model:
        from ..edits.language import load_writer

        write = load_writer(options.language_model, options.device)
    if options.caption_model:
        from ..perception.captions import clip_caption, load_captioner

        captioner = load_captioner(options.caption_model, options.device)
        describe = lambda clip: clip_caption(captioner, clip)  # noqa: E731
    return write, describe


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())


def _conclude(out: Path, rows: list[dict], judge: Judge | None, tasks: list[PairTask] | None = None) -> None:
    """Say what came of it; UserError where nothing did."""
    print("\n".join(summary(rows)))
    if tasks and not any(row["status"] == DONE for row in rows):
        raise UserError(f"No pair could be made; the first: {rows[0]['reason']}")
    print(f"{out / INDEX} has every pair with its scores and reasons." + ("" if judge else f" {_UNFILTERED}"))
