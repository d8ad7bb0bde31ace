"""Everything a run does, as pure functions of (config, step): the task, its rate, the scenes it may see.

Because nothing else decides, a run that was killed goes on as if it had not been.
"""

from __future__ import annotations

from random import Random

from pipeline_core.errors import UserError

TASKS = ("dit", "decoder", "vae")
Phases = tuple[tuple[str, int], ...]


def parse_schedule(text: str) -> tuple[Phases, Phases]:
    """ "vae:2000;dit:600,decoder:120" as (what is done once, what is repeated), each ((task, steps), ...).

    dit: transformer, control branches and text encoder. decoder: the VAE's decoder alone. vae: encoder and decoder,
    only before the ;, because it changes what latents mean. UserError for anything else.
    """
    once, _, again = text.rpartition(";")
    phases = tuple(_phases(part, text) for part in (once, again))
    if not phases[1]:
        raise UserError(f"The schedule {text!r} has nothing to repeat: write it as dit:600,decoder:120.")
    if any(task == "vae" for task, _ in phases[1]):
        raise UserError(f"The schedule {text!r} repeats vae: put it before a ; because it changes the latents.")
    return phases


def _phases(part: str, text: str) -> Phases:
    found = []
    for entry in filter(None, (e.strip() for e in part.split(","))):
        task, _, steps = entry.partition(":")
        if task not in TASKS or not steps.isdecimal() or int(steps) < 1:
            raise UserError(f"The schedule {text!r} has the entry {entry!r}: write it as task:steps, {TASKS}.")
        found.append((task, int(steps)))
    return tuple(found)


def task_at(schedule: str, step: int) -> str:
    """The task of a step, counted from 0 over all tasks."""
    once, again = parse_schedule(schedule)
    length = sum(steps for _, steps in once)
    phases, left = (once, step) if step < length else (again, (step - length) % sum(steps for _, steps in again))
    for task, steps in phases:
        if left < steps:
            return task
        left -= steps
    raise AssertionError("a step lies in one of the phases")


def rate_factor(task_step: int, constant_steps: int, step: int, steps: int, cooldown: int, warmup: int = 100) -> float:
    """Factor on a task's peak rate: linear warm-up, constant, then 1 / sqrt (Karras et al. 2024, eq. 67), which needs
    no end to be known; times a linear fall to zero over the last `cooldown` of `steps`, if an end is set."""
    factor = min((task_step + 1) / warmup, 1.0) / max(task_step / constant_steps, 1.0) ** 0.5
    return factor * min((steps - step) / cooldown, 1.0) if cooldown else factor


def scene_pool(step: int, first_scene: int, first_scenes: int, scene_every: int, scenes: int) -> range:
    """Seeds of the scenes a step may draw: `first_scenes` at once, one more every `scene_every` steps, the newest
    `scenes` at most. UserError when the run has used up the seeds that are for training."""
    from ..latents import CRITIC_SEEDS

    stop = first_scene + first_scenes + step // scene_every
    if stop > CRITIC_SEEDS:
        raise UserError(f"Seeds up to {stop} came and training has those below {CRITIC_SEEDS}: lower first_scene.")
    return range(max(first_scene, stop - scenes), stop)


def parse_worlds(text: str) -> dict[int, float]:
    """ "1:0.3,2:0.7" as {version: share}; a single version may leave its share out. UserError for anything else."""
    shares = {}
    try:
        for entry in text.split(","):
            version, _, share = entry.partition(":")
            shares[int(version)] = float(share or 1)
    except ValueError:
        raise UserError(f"The worlds {text!r} came: write versions and shares as 1:0.3,2:0.7.") from None
    if not all(share > 0 for share in shares.values()):
        raise UserError(f"The worlds {text!r} have a share that is not above 0: leave that version out.")
    return shares


def world_of(seed: int, worlds: str) -> int:
    """The world's version that scene `seed` is of, drawn by the shares."""
    shares = parse_worlds(worlds)
    return Random(f"world of {seed}").choices(list(shares), list(shares.values()))[0]
