"""Train a small network until its steps are done; killed at any moment it goes on from its checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pipeline_core.errors import UserError
from pipeline_core.finetune.checkpoint import read_state, read_tensors, save_checkpoint

from ..optimizer import MixedOptimizer
from ..run.log import RunLog
from .data import draw

WARMUP = 100  # steps
AVERAGE = 0.998  # of the weights, per step
THIN = 16  # features in or out
ADAM_SHARE = 0.1


def orthogonal_inside(model: torch.nn.Module) -> MixedOptimizer:
    """Orthogonalised steps for products that mix many features with many, Adam's at a tenth of their rate for frames'
    and words' first layers, thin heads, depthwise convolutions, norms and biases."""
    inner = []
    for name, module in model.named_modules():
        mixes = isinstance(module, torch.nn.Linear | torch.nn.Conv2d) and getattr(module, "groups", 1) == 1
        reads_frames = mixes and module.weight.shape[1] == 3
        if mixes and not reads_frames and min(module.weight.flatten(1).shape) >= THIN and "offsets" not in name:
            inner.append(module.weight)
    chosen = {id(weight) for weight in inner}
    outer = [weight for weight in model.parameters() if id(weight) not in chosen]
    return MixedOptimizer(
        [
            {"params": inner, "orthogonal": True, "lr_share": 1.0},
            {"params": outer, "orthogonal": False, "lr_share": ADAM_SHARE},
        ]
    )


@dataclass(frozen=True)
class Task:
    """A network and how it learns. build: its model, new; batch: samples a step; rate: the optimiser's highest; loss:
    (model, batch) -> scalar; figures: (model, shards) -> name -> number, of scenes it was not trained on; write:
    (model, folder) -> a model folder in the released layout; draw: (shards, count, generator) -> a batch; optimizer:
    model -> one whose groups have "lr_share", their part of the rate; compile: lets torch.compile fuse a model;
    pool: (shards, step) -> the shards a step may draw."""

    build: Callable
    batch: int
    rate: float
    steps: int
    loss: Callable
    figures: Callable
    write: Callable
    draw: Callable = draw
    optimizer: Callable = orthogonal_inside
    compile: Callable = lambda model: None
    pool: Callable = lambda shards, step: shards


@dataclass(frozen=True)
class Habits:
    """How a run goes, which changes nothing of what it learns: seconds between checkpoints, steps between figures."""

    seconds: float = 120.0
    every: int = 250


def fit(
    task: Task,
    folder: Path,
    shards: list,
    tuning: list,
    steps: int,
    seed: int = 0,
    stop: Callable[[], bool] = lambda: False,
    habits: Habits = Habits(),  # noqa: B008 (frozen)
) -> torch.nn.Module:
    """Train in `folder` until `steps`, or until stop() says so; returns the model with its averaged weights.

    Batches are functions of (seed, step), the rate of (step, steps): the same machine ends at the same weights however
    often it was stopped. UserError where the folder's checkpoint is of other steps or another seed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    model = task.build()
    config = {"steps": steps, "seed": seed, "scenes": len(shards)}
    weights = dict(model.named_parameters())
    averages = {name: value.detach().clone() for name, value in weights.items()}
    optimizer = task.optimizer(model)
    state = read_state(folder) or {"step": 0, "config": config, "cpu_seconds": 0.0, "losses": [0.0, 0]}
    if state["config"] != config:
        raise UserError(f"{folder} was begun with {state['config']} and now {config} came: give another --out.")
    if state["step"]:
        _restore(folder, model, optimizer, averages)
    task.compile(model)
    log = RunLog(folder, state["step"])
    saved, began = time.monotonic(), time.process_time()

    def save(step: int) -> None:
        nonlocal began
        state["step"], state["cpu_seconds"] = step, state["cpu_seconds"] + time.process_time() - began
        began = time.process_time()
        save_checkpoint(folder, _tensors(model, optimizer, averages), state)

    for step in range(state["step"], steps):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        torch.manual_seed(seed * 1_000_003 + step)  # dropout and the like
        model.train()
        batch = task.draw(task.pool(shards, step), task.batch, generator)
        with torch.autocast("cpu", torch.bfloat16):
            loss = task.loss(model, batch)
        for group in optimizer.param_groups:
            group["lr"] = task.rate * _share(step, steps) * group["lr_share"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        decay = min(AVERAGE, (step + 1) / (step + 10))
        with torch.no_grad():
            for name, value in weights.items():
                averages[name].lerp_(value, 1 - decay)
        state["losses"] = [state["losses"][0] + loss.item(), state["losses"][1] + 1]
        if (step + 1) % habits.every == 0 or step + 1 == steps:
            figures = task.figures(averaged(task, model, averages), tuning)
            total, count = state["losses"]
            log.write("figures", step + 1, {"loss": total / count} | figures)
            state["losses"] = [0.0, 0]
        if stop():
            save(step + 1)
            break
        if time.monotonic() - saved > habits.seconds:
            save(step + 1)
            saved = time.monotonic()
    else:
        save(steps)
    return averaged(task, model, averages)


def averaged_so_far(task: Task, folder: Path) -> torch.nn.Module:
    """The model with the averaged weights of a run's checkpoint. UserError where the folder has none."""
    if read_state(folder) is None:
        raise UserError(f"{folder} holds no run yet: leave --export out and let it learn.")
    model = task.build()
    model.load_state_dict(read_tensors(folder, "model"))
    return averaged(task, model, read_tensors(folder, "average"))


def averaged(task: Task, model: torch.nn.Module, averages: dict[str, Tensor]) -> torch.nn.Module:
    """A copy of the model with the averaged weights, in evaluation."""
    copy = task.build()
    copy.load_state_dict(model.state_dict())
    copy.eval().requires_grad_(False)
    for name, value in copy.named_parameters():
        value.copy_(averages[name])
    return copy


def _share(step: int, steps: int) -> float:
    """Of the highest rate: up over WARMUP steps, down a half cosine."""
    return min(1.0, (step + 1) / WARMUP) * 0.5 * (1 + math.cos(math.pi * step / steps))


def _tensors(model, optimizer, averages) -> dict[str, Tensor]:
    moments = {
        f"{kind}.{name}": optimizer.state[value][kind]
        for name, value in model.named_parameters()
        for kind in ("exp_avg", "exp_avg_sq", "step")
        if kind in optimizer.state.get(value, {})
    }
    held = {f"model.{name}": value for name, value in model.state_dict().items()}
    return held | moments | {f"average.{name}": value for name, value in averages.items()}


def _restore(folder: Path, model, optimizer, averages) -> None:
    model.load_state_dict(read_tensors(folder, "model"))
    averages |= read_tensors(folder, "average")
    moments = {kind: read_tensors(folder, kind) for kind in ("exp_avg", "exp_avg_sq", "step")}
    for name, value in model.named_parameters():
        if name in moments["step"]:
            optimizer.state[value] = {kind: tensors[name] for kind, tensors in moments.items() if name in tensors}
