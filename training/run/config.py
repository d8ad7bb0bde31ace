"""What a run is: everything that decides its weights, fixed when its folder is made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from pipeline_core.conditions.conventions import CONVENTIONS, EMBEDDED, map_convention
from pipeline_core.errors import UserError

from .schedule import parse_schedule, parse_worlds


def _setting(default: object, help: str):
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class RunConfig:
    """Settings of a run. What only decides how quickly it goes (core, checkpoints, compiling) is not among them."""

    start: str = _setting("models/embedded", "model folder or run folder to start from, or scratch")
    seed: int = _setting(0, "of every draw, together with the step")
    schedule: str = _setting("dit:600,decoder:120", "tasks and their steps, repeated; what stands before a ; once")
    steps: int = _setting(0, "steps of all tasks after which the run ends, 0: it goes on until it is stopped")
    cooldown: int = _setting(0, "the last steps, in which the rates fall to zero")
    batch: int = _setting(8, "clips a DiT step")
    vae_batch: int = _setting(4, "crops a VAE step")
    rate: float = _setting(0.004, "peak rate of the DiT's orthogonalised matrices")
    vae_rate: float = _setting(0.005, "peak rate of the VAE's orthogonalised convolutions")
    constant_steps: int = _setting(4000, "steps of a task after which its rate falls with their inverse root")
    worlds: str = _setting("1", "version of the world, or a mix such as 1:0.3,2:0.7")
    maps: str = _setting(EMBEDDED, f"whose control maps, one of {', '.join(CONVENTIONS)}")
    first_scene: int = _setting(1000, "seed of the first training scene")
    scenes: int = _setting(800, "most scenes trained on at a time; then the oldest makes room for the newest")
    first_scenes: int = _setting(48, "scenes rendered before the first step")
    scene_every: int = _setting(20, "steps after which one more scene is rendered")

    def __post_init__(self) -> None:
        parse_schedule(self.schedule)
        parse_worlds(self.worlds)
        map_convention(self.maps)
        for name in ("batch", "vae_batch", "constant_steps", "scenes", "first_scenes", "scene_every"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}: give 1 or more.")
        if not 0 <= self.cooldown <= self.steps and self.cooldown:
            raise UserError(f"cooldown is {self.cooldown} of {self.steps} steps: give steps of at least that many.")


def new_config(given: Mapping[str, object]) -> RunConfig:
    """The defaults, changed by the settings that were given (None: not given)."""
    return RunConfig(**{name: value for name, value in given.items() if value is not None})


def stored_config(values: Mapping[str, object], given: Mapping[str, object], folder: Path) -> RunConfig:
    """The config a checkpoint was made with. UserError when a given setting says otherwise, naming the first."""
    names = {f.name for f in fields(RunConfig)}
    if set(values) != names:
        odd = sorted(set(values) ^ names)[0]
        raise UserError(f"{folder} holds a run of another version of the trainer ({odd}): start a new one from it.")
    for name, value in given.items():
        if value is not None and value != values[name]:
            raise UserError(
                f"The run in {folder} has {name} {values[name]} and {value} came: leave it out, or start a new run "
                f"from this one with --start {folder} and another --out."
            )
    return RunConfig(**values)


def write_config(config: RunConfig, folder: Path) -> None:
    """config.json, for people: the checkpoint carries the one that counts."""
    (folder / "config.json").write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")
