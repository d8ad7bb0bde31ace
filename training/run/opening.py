"""Open a run's folder: begin it from a model or from another run, or go on from its checkpoint."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from pipeline_core.errors import UserError
from pipeline_core.finetune.checkpoint import NAME, read_state, read_tensors, save_checkpoint
from pipeline_core.models.folders.preset_file import read_preset

from ..channel_weights import channel_weights, decoder_energy
from ..dit import parameter_groups as dit_groups
from ..export import load_networks
from ..latents import load_vae
from ..vae import parameter_groups as vae_groups
from .cache import SceneCache
from .config import RunConfig, new_config, stored_config, write_config
from .fresh import write_fresh_model
from .learner import Learner
from .schedule import scene_pool

START = "start"  # the model folder a run began from: its architecture, tokenizer and preset
SCRATCH = "scratch"


@dataclass
class Run:
    """A run in memory. learners: "dit" and "vae". state, all of it JSON: step, skipped steps, CPU seconds by task, and
    the runs it descends from."""

    folder: Path
    config: RunConfig
    learners: dict[str, Learner]
    cache: SceneCache
    channel_weights: torch.Tensor
    state: dict

    def pool(self) -> range:
        """Seeds of the scenes that the next step may draw."""
        c = self.config
        return scene_pool(self.state["step"], c.first_scene, c.first_scenes, c.scene_every, c.scenes)

    def weigh_channels(self) -> None:
        """Set what each latent channel's error counts, from the decoder as it is now (channel_weights.py)."""
        probe = self.cache.scene(self.pool()[0]).latents["rgb.synthetic"][None].float()
        self.channel_weights = channel_weights(decoder_energy(self.learners["vae"].network, probe))

    def cpu_hours(self) -> float:
        """CPU time of this run and of those it descends from."""
        runs = [self.state["cpu_seconds"], *(run["cpu_seconds"] for run in self.state["ancestors"])]
        return sum(sum(seconds.values()) for seconds in runs) / 3600

    def save(self) -> None:
        """Write the checkpoint."""
        tensors = {"channels.weights": self.channel_weights}
        for name, learner in self.learners.items():
            tensors |= {f"{name}.{key}": tensor for key, tensor in learner.tensors().items()}
        steps = {name: learner.step for name, learner in self.learners.items()}
        save_checkpoint(self.folder, tensors, {**self.state, "config": asdict(self.config), "task_steps": steps})


def open_run(folder: Path, given: Mapping[str, object]) -> Run:
    """The run in `folder`, begun if there is none. given: settings by name, None where none was given.

    UserError when the folder's run was begun with another setting, or when start is neither a model nor a run.
    """
    state, source = read_state(folder), folder
    if state is not None:
        config = stored_config(state["config"], given, folder)
    else:
        config = new_config(given)
        source = _begin(folder, config)
        state = read_state(source)
        ancestors = [] if state is None else [*state["ancestors"], _ancestor(state)]
        state = {**(state or {"step": 0, "skipped": 0}), "cpu_seconds": {}, "ancestors": ancestors}
    write_config(config, folder)
    run = _assemble(folder, config, state, source)
    if source != folder:
        run.save()
    return run


def _ancestor(state: Mapping) -> dict:
    return {name: state[name] for name in ("config", "step", "task_steps", "cpu_seconds")}


def _begin(folder: Path, config: RunConfig) -> Path:
    """Fill `folder` with what the run begins from, its start/ whole or not there; the folder of the checkpoint, if
    there is one."""
    source = Path(config.start)
    if (folder / START).exists():  # killed before its first checkpoint
        return source
    part = folder / (START + ".part")
    shutil.rmtree(part, ignore_errors=True)
    if config.start == SCRATCH:
        write_fresh_model(part, folder / "cache", config)
    elif (source / "model_index.json").is_file():
        shutil.copytree(source, part)
    elif (source / NAME).is_file():
        shutil.copytree(source / START, part)
        if (source / "cache").is_dir():
            shutil.copytree(source / "cache", folder / "cache", copy_function=_link, dirs_exist_ok=True)
    else:
        raise UserError(f"{source} came as start: give a model folder, the folder of a run, or {SCRATCH}.")
    os.replace(part, folder / START)
    return source


def _link(source: str, target: str) -> None:
    """One file under two names, or a copy on another disk: a cache's files are replaced and never written into."""
    if os.path.exists(target):
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _assemble(folder: Path, config: RunConfig, state: dict, source: Path) -> Run:
    from transformers import PreTrainedTokenizerFast

    start = folder / START
    networks, vae = load_networks(start), load_vae(start / "vae")
    learners = {
        "dit": Learner(networks, dit_groups(networks), config.rate),
        "vae": Learner(vae, vae_groups(vae), config.vae_rate),
    }
    fresh = "task_steps" not in state
    if not fresh:
        for name, learner in learners.items():
            try:
                learner.restore(read_tensors(source, name), state["task_steps"][name])
            except (RuntimeError, KeyError) as error:
                raise UserError(f"The checkpoint in {source} does not fit its start/ ({error}).") from error
    tokenizer = PreTrainedTokenizerFast.from_pretrained(str(start / "tokenizer"), local_files_only=True)
    length = read_preset(start).max_text_tokens
    cache = SceneCache(folder / "cache", config.worlds, config.maps, vae, tokenizer, length)
    state = {name: state[name] for name in ("step", "skipped", "cpu_seconds", "ancestors")}
    run = Run(folder, config, learners, cache, torch.ones(()), state)
    if fresh:
        run.weigh_channels()
    else:
        run.channel_weights = read_tensors(source, "channels")["weights"]
    return run
