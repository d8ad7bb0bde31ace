"""The loop of a run: one task's step after the other, and now and then a checkpoint, figures and a picture of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from pipeline_core.errors import UserError

from ..dit import compile_blocks, prediction_errors
from ..dit_data import draw_batch
from ..vae import draw_crop, latent_noise, measure_latents, reconstruction_loss
from .cache import ScenePool, frames_pool
from .figures import tuning_figures
from .log import RunLog
from .opening import Run
from .plot import plot_run
from .schedule import TASKS, rate_factor, task_at

LOG_EVERY = 25  # steps
GIVE_UP = 20  # steps in a row whose gradient is not finite
SETTLED = 6.94  # the average that is kept when the encoder stops learning


@dataclass(frozen=True)
class Habits:
    """How a run is looked after; nothing of it changes the weights.

    checkpoint_minutes: of the clock. figures_minutes: of this process's CPU time, 0 for no figures.
    """

    checkpoint_minutes: float = 4.0
    figures_minutes: float = 20.0
    compile: bool = True


def train(run: Run, habits: Habits, stop: Callable[[], bool], tell: Callable[[str], None]) -> None:
    """Step until the config's steps are done or `stop()` says so; the checkpoint then holds the last step."""
    log = RunLog(run.folder, run.state["step"])
    networks = run.learners["dit"].network
    if habits.compile:
        compile_blocks(networks)
    saved, shown = time.monotonic(), time.process_time()
    if habits.figures_minutes and not log.entries("figures"):
        _show(run, log, stop, tell)
    losses, bad = {}, dict.fromkeys(TASKS, 0)
    while not stop() and not (run.config.steps and run.state["step"] >= run.config.steps):
        task = task_at(run.config.schedule, run.state["step"])
        began = time.process_time()
        loss, norm = one_step(run, task)
        seconds = run.state["cpu_seconds"]
        seconds[task] = seconds.get(task, 0.0) + time.process_time() - began
        if math.isfinite(norm):
            bad[task] = 0
            losses.setdefault(task, []).append(loss)
        else:
            run.state["skipped"], bad[task] = run.state["skipped"] + 1, bad[task] + 1
            if bad[task] >= GIVE_UP:
                raise UserError(
                    f"{GIVE_UP} gradients in a row were not finite: start a run from this one at a lower rate."
                )
        _leave_task(run, task)
        if run.state["step"] % LOG_EVERY == 0:
            for name, values in losses.items():
                entry = {"task": name, "loss": sum(values) / len(values), "scenes": len(run.pool())}
                log.write("loss", run.state["step"], entry | {"cpu_hours": run.cpu_hours()})
            losses = {}
        now = time.monotonic()
        if now - saved >= 60 * habits.checkpoint_minutes:
            _keep(run, log)
            saved = time.monotonic()
        if habits.figures_minutes and time.process_time() - shown >= 60 * habits.figures_minutes:
            _show(run, log, stop, tell)
            shown = time.process_time()
    _keep(run, log)
    tell(f"step {run.state['step']}: checkpoint written, ended")


def one_step(run: Run, task: str) -> tuple[float, float]:
    """Do the next step, of `task`, and count it; (loss, gradient norm)."""
    config, step = run.config, run.state["step"]
    learner = run.learners["dit" if task == "dit" else "vae"]
    loss = _dit_loss(run) if task == "dit" else _vae_loss(run, task)
    factor = rate_factor(learner.step, config.constant_steps, step, config.steps, config.cooldown)
    norm = learner.update(loss, factor)
    run.state["step"] = step + 1
    return loss.item(), norm


def _dit_loss(run: Run) -> torch.Tensor:
    networks = run.learners["dit"].network
    scenes = ScenePool(run.cache, run.pool())
    batch = draw_batch(scenes, list(networks.branches), run.config.batch, run.config.seed, run.state["step"])
    return prediction_errors(networks, batch, run.channel_weights).mean()


def _vae_loss(run: Run, task: str) -> torch.Tensor:
    vae = run.learners["vae"].network
    vae.encoder.requires_grad_(task == "vae")
    generator = torch.Generator().manual_seed((run.config.seed << 32) + run.state["step"])
    seeds = frames_pool(run.pool())
    chosen = torch.randint(len(seeds), (run.config.vae_batch,), generator=generator).tolist()
    # Maps are encoded as hints and never decoded: a frozen encoder has nothing to learn from them.
    options = {} if task == "vae" else {"map_share": 0.0}
    crops = torch.stack([draw_crop(run.cache.frames(seeds[i]), generator, **options) for i in chosen])
    return reconstruction_loss(vae, crops, latent_noise(vae, crops, generator))


def _leave_task(run: Run, task: str) -> None:
    """When the encoder has learnt its last step, settle on an average of it and on what its latents mean."""
    if task != "vae" or task_at(run.config.schedule, run.state["step"]) == "vae":
        return
    learner = run.learners["vae"]
    learner.begin_from(SETTLED)
    measure_latents(learner.network, [run.cache.frames(seed) for seed in frames_pool(run.pool())[-100:]])
    run.cache.use_encoder(learner.network)
    run.weigh_channels()


def _keep(run: Run, log: RunLog) -> None:
    run.save()
    run.cache.trim(run.pool())
    plot_run(log, run.folder / "run.png")


def _show(run: Run, log: RunLog, stop: Callable[[], bool], tell: Callable[[str], None]) -> None:
    """Measure tuning scenes, and leave the best averages as a model folder; nothing when asked to stop meanwhile."""
    began = time.process_time()
    entry = tuning_figures(run, stop)
    spent = run.state["cpu_seconds"]
    spent["figures"] = spent.get("figures", 0.0) + time.process_time() - began
    if entry is not None:
        log.write("figures", run.state["step"], entry | {"cpu_hours": run.cpu_hours()})
        plot_run(log, run.folder / "run.png")
        tell(f"step {run.state['step']}: {entry}")
