"""Enhance every clip of a folder, in the variants of a recipe: IN OUT; run again, it goes on from what is there."""

import argparse
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..batch.board import Board, check_retries
from ..batch.engines.comfyui import server_slots
from ..batch.engines.local import TIMEOUT, local_slots, usual_workers
from ..batch.engines.ray import close_ray, ray_slots
from ..batch.engines.slurm import array_shard
from ..batch.leases import sweep
from ..batch.networks import NetworkChoice
from ..batch.plan import Plan, make_plan, write_manifest
from ..batch.progress import RunLine, RunPage, format_table
from ..batch.quarantine import FILE, rewrite
from ..batch.recipe import load_recipe
from ..batch.rows import FAILED, differences, read_row
from ..devices import chosen_device
from ..doors import check_paths, writable
from ..errors import UserError
from ..job.table import SETTINGS
from ..models.folders.lora import require_peft
from ..models.folders.memory import WEIGHTS
from ..models.folders.precision import PRECISIONS
from .enhance import NO_SIMDROP, add_lora, add_setting, add_simdrop_reference, given_settings, lora_paths
from .files import add_device

ENGINES = ("local", "ray", "comfyui")
MODELS = ("model", "depth_model", "segmentation_model", "flow_model")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="IN", help="folder of clips; buffers: CLIP_buffers beside each")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the results, which several runs may share")
    parser.add_argument("--recipe", type=Path, help="YAML: looks, draws, gate (docs/recipes.md); default: one result")
    parser.add_argument(
        "--shard",
        metavar="I/N",
        help="only every N-th clip from the I-th on, such as 2/8; default in an array of Slurm jobs: the job's share",
    )
    parser.add_argument("--workers", type=int, help="processes, each with the model; default: one for each GPU")
    parser.add_argument("--engine", choices=ENGINES, default="local", help="who does the work (docs/many-clips.md)")
    parser.add_argument("--servers", help="with --engine comfyui: host:port, several with commas between")
    parser.add_argument("--ray-address", help="with --engine ray: of a cluster; default: Ray on this machine")
    parser.add_argument("--retries", type=int, default=2, help="further attempts after a fault that is not the clip's")
    parser.add_argument(
        "--timeout",
        type=float,
        default=TIMEOUT,
        help="seconds without a model step until a process counts as hanging, default: %(default)g",
    )
    parser.add_argument("--retry-failed", action="store_true", help="try again what is in quarantine")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done; nothing is written")
    for name in MODELS:
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, help="as for enhance")
    add_lora(parser)
    add_simdrop_reference(parser)
    add_device(parser)
    parser.add_argument("--precision", choices=PRECISIONS, default="auto", help="as for enhance")
    parser.add_argument("--weights", choices=WEIGHTS, default="auto", help="as for enhance")
    settings = parser.add_argument_group("settings", "of every variant; they go before the recipe's")
    for name, setting in SETTINGS.items():
        add_setting(settings, name, setting)


def run(options: argparse.Namespace) -> None:
    check_options(options)
    plan = planned(options)
    if options.dry_run:
        print("\n".join(said_of(plan)))
        return
    write_manifest(plan)
    board = Board(plan.tasks, plan.out, plan.choice, options.retries, options.retry_failed)
    for line in changed(plan):
        print(line)
    page = RunPage(board)
    try:
        if board.left:
            with RunLine(board, len(plan.tasks)) as line, slots_of(options, plan, board.left) as slots:
                board.run(slots, lambda: (line(), page()))
    finally:
        rewrite(plan.out, plan.tasks, plan.choice)
        sweep(plan.out / "leases")
        page.write()
        print(format_table(plan.tasks, board.settled))
    conclude(plan, board)


def check_options(options: argparse.Namespace) -> None:
    """UserError for options that do not go together and paths that cannot be."""
    check_retries(options.retries)
    if options.workers is not None and not 1 <= options.workers <= 1024:
        raise UserError(f"--workers is {options.workers} but must be from 1 to 1024: change --workers.")
    if not options.timeout > 0:
        raise UserError(f"--timeout is {options.timeout} but must be above 0: change --timeout.")
    if options.engine == "comfyui" and not options.servers:
        raise UserError("--engine comfyui needs servers: give --servers host:port, several with commas between.")
    loras = lora_paths(options)
    if options.engine == "comfyui" and loras:
        name = next(iter(loras)).split()[0]
        raise UserError(f"--engine comfyui has no {name}: load it in the server's graph, or choose another engine.")
    read = {f"--{name.replace('_', '-')}": getattr(options, name) for name in (*MODELS, "recipe")}
    if loras:
        require_peft("A LoRA")
    check_paths({"IN": options.folder, **read, **loras}, {}, {"OUT": options.out})
    writable(options.out, "the results", folder=True)
    if options.engine == "local":
        chosen_device(options.device)


def planned(options: argparse.Namespace) -> Plan:
    paths = {name: getattr(options, name) for name in MODELS}
    paths = {name: None if path is None else str(path.absolute()) for name, path in paths.items()}
    reference = options.simdrop_reference
    choice = NetworkChoice(
        **paths, device=options.device, precision=options.precision, weights=options.weights,
        loras=tuple(str(Path(text).absolute()) for text in options.lora),
        simdrop_reference=None if reference is None else str(Path(reference).absolute()),
    )  # fmt: skip
    shard = parse_shard(options.shard) if options.shard else array_shard()
    recipe = load_recipe(options.recipe)
    plan = make_plan(options.folder, options.out, recipe, choice, given_settings(options), shard)
    if reference and plan.tasks and not any(task.variant.settings.get("simdrop") for task in plan.tasks):
        raise UserError(NO_SIMDROP)
    return plan


def parse_shard(text: str) -> tuple[int, int]:
    """ "2/8" to (2, 8); UserError for anything else."""
    parts = text.split("/")
    if len(parts) == 2 and all(part.isascii() and part.isdigit() for part in parts):
        number, count = map(int, parts)
        if 1 <= number <= count <= 100_000:
            return number, count
    raise UserError(f"--shard is {text!r} but must be I/N with I from 1 to N, such as 2/8: change --shard.")


@contextmanager
def slots_of(options: argparse.Namespace, plan: Plan, left: int) -> Iterator[list]:
    """Where the results are made, by the engine."""
    out, rules, workers = plan.out.absolute(), plan.recipe.gate, options.workers and min(options.workers, left)
    if options.engine == "local":
        yield local_slots(workers or min(usual_workers(plan.choice), left), out, plan.choice, rules, options.timeout)
    elif options.engine == "ray":
        try:
            yield ray_slots(workers, out, plan.choice, rules, options.timeout, options.ray_address)
        finally:
            close_ray()
    else:
        yield server_slots(options.servers, out, plan.choice, rules)


def changed(plan: Plan) -> list[str]:
    """Sentences on results that are there and are made again, and why, and on those that are no part of the plan."""
    counts: Counter = Counter()
    for task in plan.tasks:
        row = read_row(plan.out, task)
        if row is not None and (others := differences(row, task)):
            counts[" and ".join(others)] += 1
    lines = [f"{count} results are made again: their {what} changed since." for what, count in counts.items()]
    others = {f"{path.parent.name}.{path.stem}" for path in plan.out.glob("clips/*/*.json")} - plan.names
    if others:
        lines.append(
            f"{len(others)} other results are there (of an earlier recipe, a graph, clips that are gone) and stay: the "
            "page and exports show them too."
        )
    return lines


def said_of(plan: Plan) -> list[str]:
    """What a run would do, line by line."""
    lines = []
    for task in plan.tasks:
        row = read_row(plan.out, task)
        others = [] if row is None else differences(row, task)
        state = "to do" if row is None else f"to do again: other {' and '.join(others)}" if others else row["status"]
        buffers = "no buffers" if task.source.buffers is None else task.source.buffers.name
        lines.append(f"{task.name}: {task.source.clip} ({buffers}), {state}")
    return [*lines, *changed(plan)]


def conclude(plan: Plan, board: Board) -> None:
    """Say where things are; UserError where nothing came out at all."""
    failed = [row for row in board.settled.values() if row["status"] == FAILED]
    if failed:
        text = f"{len(failed)} of {len(plan.tasks)} results could not be made: {plan.out / FILE} says why of each."
        if len(failed) == len(plan.tasks):
            raise UserError(f"{text[:-1]}; the first: {failed[0]['reason']}")
        print(text)
