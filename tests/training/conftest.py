"""A tiny model in the embedded one's classes, and scenes of noise small enough to train on in a test."""

import json

import pytest
import torch
from safetensors.torch import save_file

from pipeline_core.conditions.conventions import EMBEDDED as EMBEDDED_MAPS
from pipeline_core.models.folders.loading import EMBEDDED
from pipeline_core.models.folders.preset import Preset
from pipeline_core.models.folders.preset_file import write_preset
from training.architecture import ARCHITECTURE, build_networks
from training.captions_tokenizer import train_tokenizer
from training.export import write_networks

TINY = {
    "transformer": ARCHITECTURE["transformer"]
    | {"num_attention_heads": 2, "attention_head_dim": 12, "num_layers": 3, "text_embed_dim": 16, "adaln_lora_dim": 8},
    "control": ARCHITECTURE["control"] | {"adaln_lora_dim": 4},
    "text": ARCHITECTURE["text"] | {"d_model": 16, "d_kv": 8, "num_heads": 2, "d_ff": 16, "num_layers": 1},
}
CAPTIONS = {"synthetic": ["a synthetic street", "a game"], "photoreal.day": ["a real street by day"]}


def tiny_vae():
    """The shipped VAE's class and layout, four channels."""
    from diffusers import AutoencoderKLLTXVideo

    config = json.loads((EMBEDDED / "vae" / "config.json").read_text())
    widths = {"latent_channels": 4, "block_out_channels": [8, 8], "decoder_block_out_channels": [4, 8]}
    torch.manual_seed(0)
    return AutoencoderKLLTXVideo.from_config({**config, **widths})


@pytest.fixture(scope="session")
def tiny_tokenizer():
    return train_tokenizer([text for texts in CAPTIONS.values() for text in texts], 270)


@pytest.fixture(scope="session")
def tiny_start(tmp_path_factory, tiny_tokenizer):
    """A model folder to start a run from."""
    folder = tmp_path_factory.mktemp("start")
    tiny_tokenizer.save_pretrained(folder / "tokenizer")
    tiny_vae().save_pretrained(folder / "vae")
    write_networks(build_networks(4, len(tiny_tokenizer), 3, TINY), folder, torch.float32)
    write_preset(Preset(window=5, overlap=1, size=(64, 64), max_text_tokens=8, prediction="edm"), folder)
    (folder / "latent_rgb.json").write_text(json.dumps({"factors": [[0.0] * 3] * 4, "bias": [0.0] * 3}))
    return folder


def write_frames(folder, seed, world=1, maps=EMBEDDED_MAPS):
    """What render_scene would leave in a cache's frames/: five frames of 64x64, smooth and different by seed."""
    generator = torch.Generator().manual_seed(seed)

    def clip(*shape):
        coarse = torch.rand(1, shape[-1] if len(shape) == 4 else 1, 5, 4, 4, generator=generator)
        fine = torch.nn.functional.interpolate(coarse, (5, 64, 64), mode="trilinear")[0].movedim(0, -1)
        return (255 * (fine if len(shape) == 4 else fine[..., 0])).to(torch.uint8).contiguous()

    tensors = {n: clip(5, 64, 64, 3) for n in ("rgb.synthetic", "rgb.photoreal.day", "segmentation")}
    tensors |= {n: clip(5, 64, 64) for n in ("edge", "depth")}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"scene_{seed:06d}.safetensors"
    save_file(tensors, path, {"captions": json.dumps(CAPTIONS), "world": str(world), "maps": maps})
    return path
