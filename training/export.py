"""The embedded model as a diffusers folder: its networks written and read."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import torch

from pipeline_core.errors import UserError
from pipeline_core.models.folders.layout import SHARES, branch_parts

from .architecture import EmbeddedNetworks


def write_networks(networks: EmbeddedNetworks, folder: Path, dtype: torch.dtype, shares: Path | None = None) -> None:
    """Save transformer, control branches, text encoder, scheduler and model_index.json in diffusers' layout.

    VAE and tokenizer have to be there, or in the folder `shares` beside it.
    """
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
    if shares is not None:
        index[SHARES] = shares.name
    config = (shares or folder) / "vae" / "config.json"
    if not config.is_file():
        raise UserError(f"{config.parents[1]} has no vae/config.json; train or copy the VAE first.")
    index["vae"] = ["diffusers", json.loads(config.read_text(encoding="utf-8"))["_class_name"]]
    (folder / "model_index.json").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def load_networks(folder: Path) -> EmbeddedNetworks:
    """What `write_networks` saved, in fp32, with the architecture that the folder's configs state."""
    from diffusers import CosmosControlNetModel, CosmosTransformer3DModel
    from transformers import T5EncoderModel

    options = {"local_files_only": True, "use_safetensors": True}

    def load(kind: type, name: str) -> torch.nn.Module:
        return kind.from_pretrained(str(folder / name), torch_dtype=torch.float32, **options)

    base = load(CosmosTransformer3DModel, "transformer")
    branches = {modality: load(CosmosControlNetModel, part) for modality, part in branch_parts(folder).items()}
    text = T5EncoderModel.from_pretrained(str(folder / "text_encoder"), dtype=torch.float32, **options)
    return EmbeddedNetworks(base, branches, text).float().train()
