"""The steps of a LoRA: rectified flow (Liu et al. 2023, eq. 1) on cached latents, resumable to the bit.

x_t = (1 - t) x0 + t e, and the network answers what its folder's kind answers (prediction.py): the velocity e - x0, or
EDM's residual. Every draw is a function of (seed, step), so a run that was killed goes on from its checkpoint as if it
had not been.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ..errors import UserError
from ..models.folders.lora import add_lora
from .checkpoint import read_state, read_tensors, save_checkpoint
from .errors import Denoiser
from .samples import Progress, Samples, Window

CLIP = 1.0  # the gradient's norm
LOG_EVERY = 25  # steps that one value of the loss's curve is the mean of
PROBES = 8  # noise levels at which a LoRA is compared with none


@dataclass(frozen=True)
class LoraConfig:
    """What decides a LoRA's weights, beside the number of steps.

    model, clips: hashes of the folder's weights, and of windows and captions. rank: of the LoRA. rate: Adam's. batch:
    windows a step. weights, bf16: what the network is held and computed in. mix: shares of the windows' sources, each
    drawn so often whatever their number; None: as many as there are.
    """

    model: str
    clips: str
    prediction: str
    rank: int = 16
    rate: float = 1e-4
    batch: int = 1
    seed: int = 0
    weights: str = "fp32"
    bf16: bool = False
    mix: dict[str, float] | None = None


@dataclass
class LoraRun:
    """A transformer with its LoRA, the optimiser, and how far they are. losses: means of LOG_EVERY steps. before: the
    loss of the network as it came, on `probe`'s draws."""

    config: LoraConfig
    folder: Path
    transformer: torch.nn.Module
    weights: Mapping[str, torch.nn.Parameter]
    optimizer: torch.optim.Optimizer
    samples: Samples
    device: torch.device
    step: int = 0
    before: float | None = None
    losses: list[float] = field(default_factory=list)
    recent: list[float] = field(default_factory=list)

    @cached_property
    def odds(self) -> Tensor:
        """(N,) chance of every window to be drawn next, float64; see `odds_of`."""
        return odds_of(self.samples.windows, self.config.mix)

    @property
    def denoiser(self) -> Denoiser:
        config = self.config
        return Denoiser(self.transformer, config.prediction, config.weights, config.bf16, self.device)

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        tensors: dict[str, Tensor] = {f"weights.{name}": weight for name, weight in self.weights.items()}
        for name, weight in self.weights.items():
            tensors |= {f"adam.{key}.{name}": value for key, value in self.optimizer.state[weight].items()}
        progress = {name: getattr(self, name) for name in ("step", "before", "losses", "recent")}
        save_checkpoint(self.folder, tensors, {"config": asdict(self.config), **progress})


def check_config(folder: Path, config: LoraConfig) -> None:
    """UserError where the folder has a checkpoint of a run with other settings, naming the first."""
    state = read_state(folder)
    if state is None:
        return
    for name, value in asdict(config).items():
        known = state.get("config", {}).get(name)
        if known != value:
            other = {
                "model": "another model", "clips": "other clips, weights, captions, --frames or --size",
                "mix": "other shares of --mix",
            }.get(name, f"{name} {known}, and now {name} is {value}")  # fmt: skip
            raise UserError(
                f"{folder.parent} holds a LoRA trained with {other}: give another -o, or the same settings."
            )


def open_run(
    folder: Path, config: LoraConfig, transformer: torch.nn.Module, samples: Samples, device: torch.device
) -> LoraRun:
    """Begin in `folder`, or go on from the checkpoint in it. transformer: on the device; it gets the LoRA.

    UserError as `check_config`, and where peft is missing.
    """
    check_config(folder, config)
    weights = add_lora(transformer, config.rank, config.seed)
    transformer.enable_gradient_checkpointing()
    optimizer = torch.optim.AdamW(weights.values(), config.rate, weight_decay=0.01)
    run = LoraRun(config, folder, transformer, weights, optimizer, samples, device)
    state = read_state(folder)
    if state is None:
        run.before = probe(run)
        return run
    for name in ("step", "before", "losses", "recent"):
        setattr(run, name, state[name])
    with torch.no_grad():
        for name, tensor in read_tensors(folder, "weights").items():
            weights[name].copy_(tensor)
    moments = read_tensors(folder, "adam")
    for name, weight in weights.items():
        if f"step.{name}" in moments:
            keys = ("step", "exp_avg", "exp_avg_sq")
            optimizer.state[weight] = {
                key: moments[f"{key}.{name}"].to("cpu" if key == "step" else device) for key in keys
            }
    return run


def train(
    run: LoraRun,
    steps: int,
    stop: Callable[[], bool] = lambda: False,
    progress: Progress = lambda done, total: None,
    checkpoint_seconds: float = 60.0,
) -> bool:
    """Step until `steps` are done in all, or `stop()` says so after one; the checkpoint then holds the last step.

    Returns whether all are done. checkpoint_seconds: of the clock between two checkpoints. UserError for a gradient
    that is not finite; the checkpoint before stays.
    """
    saved = time.monotonic()
    while run.step < steps and not stop():
        run.recent.append(_step(run))
        run.step += 1
        if len(run.recent) == LOG_EVERY:
            run.losses.append(sum(run.recent) / LOG_EVERY)
            run.recent = []
        if time.monotonic() - saved >= checkpoint_seconds:
            run.save()
            saved = time.monotonic()
        progress(run.step, steps)
    run.save()
    return run.step >= steps


def _step(run: LoraRun) -> float:
    """One step of Adam down the mean loss of a batch, window by window; returns that loss."""
    generator = torch.Generator().manual_seed((run.config.seed << 32) + run.step)
    total = 0.0
    for _ in range(run.config.batch):
        x0, text = run.samples[int(torch.multinomial(run.odds, 1, generator=generator))]
        # Half uniform, half logit-normal: the ends, which an inversion walks through, are seen too.
        even, middle = torch.rand(2, generator=generator), torch.randn((), generator=generator).sigmoid()
        t = even[1] if even[0] < 0.5 else middle
        loss = run.denoiser.error(x0, text, t, torch.randn(x0.shape, generator=generator)) / run.config.batch
        loss.backward()
        total += loss.item()
    norm = torch.nn.utils.clip_grad_norm_(run.weights.values(), CLIP)
    if not (math.isfinite(total) and math.isfinite(norm.item())):
        raise UserError(f"The gradient of step {run.step + 1} is not finite: give a lower --rate, or --weights fp32.")
    run.optimizer.step()
    run.optimizer.zero_grad()
    return total


def odds_of(windows: Sequence[Window], mix: Mapping[str, float] | None) -> Tensor:
    """(N,) chance of every window, float64, of sum 1: within a source in proportion to the windows' weights, and the
    sources by their shares in `mix`, or in proportion too."""
    odds = torch.tensor([window.weight for window in windows], dtype=torch.float64)
    if mix is not None:
        of_source = {name: [window.source == name for window in windows] for name in mix}
        shares = torch.zeros_like(odds)
        for name, share in mix.items():
            own = torch.tensor(of_source[name])
            shares[own] = share * odds[own] / odds[own].sum()
        odds = shares
    return odds / odds.sum()


@torch.no_grad()
def probe(run: LoraRun) -> float:
    """The loss at PROBES evenly spaced levels, on windows in turn, with the same noise every time."""
    generator = torch.Generator().manual_seed(run.config.seed)
    losses = []
    for index in range(PROBES):
        x0, text = run.samples[index % len(run.samples)]
        noise = torch.randn(x0.shape, generator=generator)
        losses.append(run.denoiser.error(x0, text, torch.tensor((index + 0.5) / PROBES), noise).item())
    return sum(losses) / PROBES
