"""Encode rendered scenes (uint8 clips and maps) to VAE latents once, so that the DiT trains on latents only."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import torch
from tqdm import tqdm

from pipeline_core.errors import UserError
from pipeline_core.models.networks.grid import token_grid_weights
from pipeline_core.models.networks.vae import encode_clips

from .pixel_weights import pixel_weights

BENCHMARK_SEEDS = 900_000
CRITIC_SEEDS = 600_000  # from here on scenes belong to the critic, to tuning and to validation


def scene_seed(path: Path) -> int:
    """Seed in a shard's file name; seeds kept for the benchmark are refused."""
    seed = int(path.stem.split("_")[1])
    if seed >= BENCHMARK_SEEDS:
        raise UserError(f"{path.name} is a benchmark scene; train on seeds below {BENCHMARK_SEEDS}.")
    return seed


def fingerprint(folder: Path) -> str:
    """Short hash of what a VAE folder encodes with: latents of two encoders must never be mixed."""
    from safetensors import safe_open

    digest = hashlib.sha256()
    for path in sorted(Path(folder).glob("*.safetensors")):
        with safe_open(str(path), framework="pt") as weights:
            for name in sorted(weights.keys()):
                if not name.startswith("decoder."):
                    digest.update(name.encode() + weights.get_tensor(name).numpy().tobytes())
    return digest.hexdigest()[:16]


def as_clip(values: torch.Tensor) -> torch.Tensor:
    """uint8 (T, H, W) map or (T, H, W, 3) clip -> float (T, H, W, 3) in [0, 1]."""
    values = values[..., None].expand(*values.shape, 3) if values.ndim == 3 else values
    return values.float() / 255


def encode_scene(vae: torch.nn.Module, source: Path, target: Path, mark: str, autocast: bool) -> None:
    """Write one scene's latents, fp16 (C, t, h, w) per tensor name, captions and VAE hash in the metadata.

    Beside them "importance", fp16 (t, h, w): what the loss counts at each place.
    """
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(str(source), framework="pt") as shard:
        names = list(shard.keys())
        clips = torch.stack([as_clip(shard.get_tensor(name)) for name in names])
        weights = pixel_weights(shard.get_tensor("segmentation"))[0]
        metadata = {"captions": shard.metadata()["captions"], "vae": mark}
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        latents = encode_clips(vae, clips).half()
    tensors = {name: latents[i].contiguous() for i, name in enumerate(names)}
    tensors["importance"] = token_grid_weights(weights, latents.shape[2:], (1, 1, 1)).half()
    part = target.with_suffix(".part")
    save_file(tensors, str(part), metadata)
    part.replace(target)


def load_vae(folder: Path) -> torch.nn.Module:
    """The VAE of a diffusers folder, by the class its config names, in fp32."""
    import diffusers

    config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    vae = getattr(diffusers, config["_class_name"]).from_pretrained(
        str(folder), torch_dtype=torch.float32, local_files_only=True, use_safetensors=True
    )
    return vae.eval()


def plain_config(vae: torch.nn.Module) -> dict:
    """A diffusers model's config without diffusers' own entries, one of which is the folder on this machine."""
    return {name: value for name, value in vae.config.items() if not name.startswith("_")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=Path, default=Path("training/data/scenes"))
    parser.add_argument("--out", type=Path, default=Path("training/data/latents"))
    parser.add_argument("--vae", type=Path, default=Path("models/embedded/vae"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--fp32", action="store_true", help="no bf16 autocast")
    parser.add_argument("--part", default="0/1", help="I/N: every N-th scene from the I-th, for several processes")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    vae, mark = load_vae(args.vae), fingerprint(args.vae)
    index, count = map(int, args.part.split("/"))
    sources = [p for p in sorted(args.scenes.glob("scene_*.safetensors")) if scene_seed(p) < CRITIC_SEEDS]
    for source in tqdm(sources[index::count]):
        target = args.out / source.name
        if not target.exists():
            encode_scene(vae, source, target, mark, not args.fp32)


if __name__ == "__main__":
    main()
