"""Write a checkpoint's averaged weights as a diffusers model folder; safe to run while training goes on."""

from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path

import torch

from pipeline_core.errors import UserError
from pipeline_core.models.folders.preset import Preset
from pipeline_core.models.folders.preset_file import write_preset

from .architecture import EmbeddedNetworks, build_networks
from .checkpoint import load_average, read_state

LIMIT_BYTES = 40_000_000


def export(checkpoint: Path, folder: Path, dtype: torch.dtype = torch.float16, preset: Preset | None = None) -> dict:
    """Fill `folder` (its vae/ and tokenizer/ exist already) with the networks; returns the checkpoint's state.

    An existing preset.json is kept unless `preset` is given, as it is tuned by hand. UserError above 40 MB.
    """
    from .dit import PREDICTION  # which imports this file

    state = read_state(checkpoint)
    networks = build_networks(state["channels"], state["vocabulary"], state["seed"], state["architecture"])
    load_average(checkpoint, networks)
    write_networks(networks, folder, dtype)
    if preset is not None or not (folder / "preset.json").exists():
        write_preset(preset or Preset(prediction=PREDICTION), folder)
    size = sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
    print(f"exported step {state['step']}: {size / 1e6:.1f} MB of weights in {folder}")
    if size > LIMIT_BYTES:
        raise UserError(f"The weights take {size / 1e6:.1f} MB; the limit is 40 MB, store them in half precision.")
    return state


def write_networks(networks: EmbeddedNetworks, folder: Path, dtype: torch.dtype) -> None:
    """Save transformer, control branches, text encoder, scheduler and model_index.json in diffusers' layout."""
    import diffusers

    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=1.0)
    parts = {"transformer": networks.transformer, "text_encoder": networks.text_encoder}
    parts |= {f"controlnet_{name}": branch for name, branch in networks.branches.items()}
    index: dict = {"_class_name": "Cosmos2_5_TransferPipeline", "_diffusers_version": diffusers.__version__}
    for name, part in parts.items():
        # Half precision in the file only: the networks themselves stay as they are.
        half = copy.deepcopy(part)
        for parameter in half.parameters():
            parameter.data = parameter.data.to(dtype)
        half.save_pretrained(str(folder / name))
        index[name] = [type(part).__module__.split(".")[0], type(part).__name__]
    scheduler.save_pretrained(str(folder / "scheduler"))
    index["scheduler"] = ["diffusers", type(scheduler).__name__]
    index["tokenizer"] = ["transformers", "PreTrainedTokenizerFast"]
    config = folder / "vae" / "config.json"
    if not config.is_file():
        raise UserError(f"{folder} has no vae/config.json; train or copy the VAE first.")
    index["vae"] = ["diffusers", json.loads(config.read_text(encoding="utf-8"))["_class_name"]]
    (folder / "model_index.json").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def load_exported(folder: Path, networks: EmbeddedNetworks) -> None:
    """Fill networks in place with what `write_networks` saved in a model folder."""
    from safetensors.torch import load_file

    parts = {"transformer": networks.transformer, "text_encoder": networks.text_encoder}
    parts |= {f"controlnet_{name}": branch for name, branch in networks.branches.items()}
    for name, part in parts.items():
        (file,) = (folder / name).glob("*.safetensors")
        saved = load_file(str(file))
        for key, parameter in part.named_parameters():
            parameter.data.copy_(saved[key])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=Path("training/runs/dit/checkpoint.safetensors"))
    parser.add_argument("--out", type=Path, default=Path("models/embedded"))
    args = parser.parse_args()
    export(args.checkpoint, args.out)


if __name__ == "__main__":
    main()
