"""The best averages of a run as a model folder, and the explicit command that puts it in place of another."""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from pipeline_core.errors import UserError
from pipeline_core.models.folders.preset_file import read_preset, write_preset

from ..card import record_leg, write_card
from ..export import write_networks
from ..latent_rgb import write_preview
from ..latents import encoder_mark, load_vae
from .opening import START, Run

CANDIDATE = "candidate"
ABOUT = "candidate.json"  # in the candidate: the run it is of, at which step, and its figures
LIMIT_BYTES = 40_000_000


def write_candidate(run: Run, chosen: Mapping[str, float]) -> Path:
    """Write DIR/candidate with the chosen averages ({learner: exponent}) in half precision; the folder."""
    folder, part = run.folder / CANDIDATE, run.folder / (CANDIDATE + ".part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(run.folder / START, part, ignore=shutil.ignore_patterns("*.safetensors"))
    dit, vae = run.learners["dit"], run.learners["vae"]
    dit.averaged(chosen["dit"], lambda: write_networks(dit.network, part, torch.float16))
    vae.averaged(chosen["vae"], lambda: copy.deepcopy(vae.network).half().save_pretrained(str(part / "vae")))
    write_preset(replace(read_preset(part), maps=run.config.maps), part)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(part, folder)
    return folder


def describe_candidate(run: Run, figures: Mapping[str, object]) -> None:
    """Write candidate.json: what the candidate is of, and its figures. Without it a candidate is not whole."""
    about = {
        "step": run.state["step"],
        "task_steps": {name: learner.step for name, learner in run.learners.items()},
        "cpu_hours": run.cpu_hours(),
        "worlds": run.config.worlds,
        "maps": run.config.maps,
    }
    text = json.dumps(about | dict(figures), indent=2) + "\n"
    (run.folder / CANDIDATE / ABOUT).write_text(text, encoding="utf-8")


def export_candidate(run_folder: Path, model: Path, note: str) -> str:
    """Put the run's candidate in place of the model folder's weights; what was done, in one line.

    The model's tokenizer stays, its preset gets the maps' convention, its preview colours are fitted again when the
    encoder changed, and its card gets a leg with `note`. UserError above 40 MB or when there is no candidate.
    """
    candidate = run_folder / CANDIDATE
    if not (candidate / ABOUT).is_file():
        raise UserError(f"{run_folder} has no candidate yet: let the run measure its tuning scenes once.")
    size = sum(path.stat().st_size for path in candidate.rglob("*.safetensors"))
    if size > LIMIT_BYTES:
        raise UserError(f"The weights take {size / 1e6:.1f} MB and the limit is 40 MB: train a smaller network.")
    before = encoder_mark(load_vae(model / "vae"))
    for path in candidate.rglob("*"):
        if path.suffix == ".safetensors" or path.name == "config.json":
            target = model / path.relative_to(candidate)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    write_preset(replace(read_preset(model), maps=read_preset(candidate).maps), model)
    if encoder_mark(load_vae(model / "vae")) != before:
        write_preview(model)
    about = json.loads((candidate / ABOUT).read_text(encoding="utf-8"))
    record_leg(model, {**about, "note": note})
    write_card(model)
    return f"step {about['step']}: {size / 1e6:.1f} MB of weights in {model}"
