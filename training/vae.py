"""Train the embedded video VAE on rendered scenes: one resumable command.

    python -m training.vae --minutes 25
    python -m training.vae --minutes 60 --decoder-only --run training/runs/decoder

Loss per clip: log(MSE + 2 MSE of 4x4 means + 1e-3), so that every clip gains decibels at the same rate, easy
depth maps and hard aliased renders alike, and small lamps keep their mean colour. Errors on signs and lights, a
thousandth of the pixels, count more (pixel_weights.py).
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
import torch.nn.functional as F

from .checkpoint import load_checkpoint, read_state, save_checkpoint
from .latents import load_vae, plain_config
from .optimizer import MixedOptimizer
from .pixel_weights import pixel_weights
from .vae_grow import grow_decoder
from .vae_start import build, start_from_principal_components

CRITIC_SEEDS, VALIDATION_SEEDS, BENCHMARK_SEEDS = 600_000, 850_000, 900_000
MAPS = ("edge", "depth", "segmentation")
MAP_SHARE = 0.2
CROP = 64
# A generated latent is further from the truth than an encoded one: the decoder learns noise of 0 to this deviation.
LATENT_NOISE = 0.4
AVERAGE_DECAY = 0.998
# Peak learning rates of the orthogonalised and of the Adam group.
RATES = {True: 0.015, False: 3e-4}


def scene_files(folder: Path, validation: bool = False) -> list[Path]:
    """Finished shards of one split: training below 600000 (the critic's seeds), held out from 850000 on."""
    lowest, highest = (VALIDATION_SEEDS, BENCHMARK_SEEDS) if validation else (0, CRITIC_SEEDS)
    files = sorted(folder.glob("scene_*.safetensors"))
    return [f for f in files if lowest <= int(f.stem.split("_")[1]) < highest]


def as_video(values: torch.Tensor) -> torch.Tensor:
    """uint8 (T, H, W) or (T, H, W, 3) -> float (3, T, H, W) in [-1, 1]."""
    values = values[..., None].expand(*values.shape, 3) if values.ndim == 3 else values
    return values.movedim(-1, 0).float() / 127.5 - 1


def read_clips(path: Path) -> dict[str, torch.Tensor]:
    """Every render and map of one scene as uint8 tensors."""
    from safetensors.torch import load_file

    return load_file(str(path))


def draw_crop(path: Path, generator: torch.Generator, map_share: float = MAP_SHARE) -> torch.Tensor:
    """A random clip of the scene, a random 64x64 window of it, mirrored half the time; a map instead of a render in
    `map_share` of the draws.

    (4, T, 64, 64): the video in [-1, 1] and the weight of each pixel.
    """
    from safetensors import safe_open

    def pick(count: int) -> int:
        return int(torch.randint(count, (1,), generator=generator))

    with safe_open(str(path), framework="pt") as shard:
        names = sorted(shard.keys())
        maps = torch.rand((), generator=generator) < map_share
        looks = [n for n in names if n.startswith("rgb.photoreal")]
        renders = ["rgb.synthetic", looks[pick(len(looks))]] if looks else ["rgb.synthetic"]
        pool = MAPS if maps else renders
        clip = shard.get_slice(pool[pick(len(pool))])
        _, height, width = clip.get_shape()[:3]
        y, x = pick(height - CROP + 1), pick(width - CROP + 1)
        window = (slice(None), slice(y, y + CROP), slice(x, x + CROP))
        weights = pixel_weights(shard.get_slice("segmentation")[window])
        video = torch.cat([as_video(clip[window]), weights])
    return video.flip(-1) if pick(2) else video


def reconstruction_loss(vae: torch.nn.Module, clips: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Mean over clips of the log error in the module's docstring, and a faint pull of the latents to zero.

    clips: (B, 4, T, H, W) as `draw_crop` gives them. noise: added to the latents before they are decoded.
    """
    videos, weights = clips[:, :3], clips[:, 3:]
    with torch.autocast("cpu", torch.bfloat16):
        latents = vae.encode(videos).latent_dist.mode()
        output = vae.decode(latents + noise).sample
    error = output.float() - videos
    pooled, coarse = F.avg_pool3d(error, (1, 4, 4)), F.avg_pool3d(weights, (1, 4, 4))
    per_clip = (weights * error.square()).mean((1, 2, 3, 4)) + 2 * (coarse * pooled.square()).mean((1, 2, 3, 4))
    return (per_clip + 1e-3).log().mean() + 1e-3 * latents.float().square().mean()


@torch.no_grad()
def validate(vae: torch.nn.Module, files: list[Path]) -> dict[str, float]:
    """Mean PSNR in dB (peak 1, per clip) of whole frames, per kind of clip."""
    scores: dict[str, list[float]] = {}
    for path in files:
        for name, values in read_clips(path).items():
            video = as_video(values)[None]
            with torch.autocast("cpu", torch.bfloat16):
                output = vae.decode(vae.encode(video).latent_dist.mode()).sample
            error = (output.float().clamp(-1, 1) - video).square().mean().item() / 4
            kind = "photoreal" if "photoreal" in name else name.removeprefix("rgb.")
            scores.setdefault(kind, []).append(-10 * math.log10(error))
    return {kind: round(sum(values) / len(values), 2) for kind, values in scores.items()}


@torch.no_grad()
def measure_latents(vae: torch.nn.Module, files: list[Path]) -> tuple[torch.Tensor, torch.Tensor]:
    """Per-channel mean and standard deviation of the latents of whole renders, the maps left out."""
    rows = []
    for path in files:
        for name, values in read_clips(path).items():
            if name.startswith("rgb."):
                with torch.autocast("cpu", torch.bfloat16):
                    latents = vae.encode(as_video(values)[None]).latent_dist.mode()
                rows.append(latents.float()[0].flatten(1))
    every = torch.cat(rows, 1)
    return every.mean(1), every.std(1)


def export(vae: torch.nn.Module, folder: Path, files: list[Path]) -> None:
    """Save in half precision in diffusers' layout; latents_mean and latents_std are measured on `files`, if any.

    Half-whitened: latents_std = sqrt(std * mean std), so normalised latents have a mean variance of one, and the
    strong channels, whose errors show most in the picture, keep more weight than under full whitening.
    """
    if files:
        mean, std = measure_latents(vae, files)
        vae.latents_mean.copy_(mean)
        vae.latents_std.copy_((std * std.mean()).sqrt())
    vae.half().save_pretrained(str(folder))
    vae.float()


def parameter_groups(vae: torch.nn.Module) -> list[dict]:
    """Inner convolutions take orthogonalised steps; outer layers and biases take Adam's."""
    ends = ("coder.conv_in", "coder.conv_out")
    trained = {n: p for n, p in vae.named_parameters() if p.requires_grad}
    inner = [n for n, p in trained.items() if p.ndim == 5 and not any(end in n for end in ends)]
    outer = [n for n in trained if n not in inner]
    return [
        {"params": [trained[n] for n in inner], "orthogonal": True, "lr": RATES[True]},
        {"params": [trained[n] for n in outer], "orthogonal": False, "lr": RATES[False]},
    ]


def rate(done: float, step: int) -> float:
    """Factor on the peak rates after a share `done` of the time: 50 steps up, cosine down to 2 %."""
    return min(1.0, (step + 1) / 50) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def gradients(
    vae: torch.nn.Module,
    parameters: list[torch.Tensor],
    halves: list[torch.Tensor],
    pool: ThreadPoolExecutor,
    generator: torch.Generator,
) -> tuple[float, list[torch.Tensor | None]]:
    """Mean loss and gradients over the halves, one core each: sharing every layer costs more."""
    _, t, h, w = halves[0].shape[1:]
    shape = (vae.config.latent_channels, 1 + (t - 1) // 4, h // 8, w // 8)
    levels = [LATENT_NOISE * torch.rand(len(half), 1, 1, 1, 1, generator=generator) for half in halves]
    noises = [level * torch.randn(len(level), *shape, generator=generator) for level in levels]

    def one(job: tuple[torch.Tensor, torch.Tensor]) -> tuple[float, tuple[torch.Tensor | None, ...]]:
        loss = reconstruction_loss(vae, *job)
        return loss.item(), torch.autograd.grad(loss, parameters, allow_unused=True)

    results = list(pool.map(one, zip(halves, noises, strict=True)))
    summed = []
    for parts in zip(*(grads for _, grads in results), strict=True):
        summed.append(None if parts[0] is None else sum(parts) / len(parts))
    return sum(loss for loss, _ in results) / len(results), summed


def train(vae: torch.nn.Module, run: Path, args: argparse.Namespace, state: dict, log: Callable[[dict], None]) -> None:
    """Step until the minutes are spent; checkpoints and validation every `args.every` seconds."""
    pool = ThreadPoolExecutor(args.threads)
    optimizer = MixedOptimizer(parameter_groups(vae), pool.map)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    average = {name: p.detach().clone() for name, p in vae.named_parameters()}
    checkpoint = run / "vae.safetensors"
    if checkpoint.exists():
        state = load_checkpoint(checkpoint, vae, average, optimizer)
    generator = torch.Generator().manual_seed(args.seed + state["step"])
    files = scene_files(args.scenes)
    # Maps are encoded as hints and never decoded: a frozen encoder has nothing to learn from them.
    map_share = 0.0 if args.decoder_only else MAP_SHARE
    start = saved = listed = time.monotonic()
    before, budget = state["seconds"], args.minutes * 60
    losses: list[float] = []
    while state["seconds"] < budget:
        now = time.monotonic()
        state["seconds"] = before + now - start
        if now - listed > 30:
            files, listed = scene_files(args.scenes), now
        count = args.threads * args.batch
        chosen = torch.randint(len(files), (count,), generator=generator).tolist()
        clips = torch.stack([draw_crop(files[i], generator, map_share) for i in chosen])
        loss, grads = gradients(vae, parameters, list(clips.chunk(args.threads)), pool, generator)
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss became {loss} at step {state['step']}; lower RATES")
        for parameter, gradient in zip(parameters, grads, strict=True):
            parameter.grad = gradient
        for group in optimizer.param_groups:
            group["lr"] = RATES[group["orthogonal"]] * rate(state["seconds"] / budget, state["step"])
        optimizer.step()
        state["step"] += 1
        losses.append(loss)
        decay = min(AVERAGE_DECAY, (1 + state["step"]) / (10 + state["step"]))
        for name, parameter in vae.named_parameters():
            average[name].lerp_(parameter.detach(), 1 - decay)
        if now - saved > args.every or state["seconds"] >= budget:
            save_checkpoint(checkpoint, vae, average, optimizer, state)
            held_out = scene_files(args.scenes, validation=True)[: args.validate]
            scores = validate(averaged(vae, average), held_out)
            log({**state, "scenes": len(files), "loss": sum(losses) / len(losses), "psnr": scores})
            saved, losses = time.monotonic(), []
    pool.shutdown()
    # A frozen encoder keeps the statistics it came with: latents made with it stay valid.
    measured = [] if args.decoder_only else files[:: max(1, len(files) // 100)]
    export(averaged(vae, average), args.out, measured)


def averaged(vae: torch.nn.Module, average: dict[str, torch.Tensor]) -> torch.nn.Module:
    """A copy of the VAE with the averaged weights."""
    copy = type(vae).from_config(plain_config(vae))
    copy.load_state_dict(vae.state_dict())
    for name, parameter in copy.named_parameters():
        parameter.data.copy_(average[name])
    return copy.eval()


def starting_videos(files: list[Path], count: int) -> torch.Tensor:
    """Clips to fit the principal components on: mostly renders, and the maps of every fourth scene."""
    videos = []
    for i, path in enumerate(files[:: max(1, len(files) // count)][:count]):
        clips = read_clips(path)
        names = [n for n in sorted(clips) if n.startswith("rgb.")] + (["segmentation"] if i % 4 == 0 else [])
        videos += [as_video(clips[name]) for name in names]
    return torch.stack(videos)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--scenes", type=Path, default=Path("training/data/scenes"))
    parser.add_argument("--run", type=Path, default=Path("training/runs/vae"))
    parser.add_argument("--out", type=Path, default=Path("models/embedded/vae"))
    parser.add_argument("--channels", type=int, default=48)
    parser.add_argument(
        "--decoder-only", action="store_true", help="keep the encoder of the VAE in --out; use another --run"
    )
    parser.add_argument("--grow", type=int, help="residual layers that every level of the decoder is to have")
    parser.add_argument("--batch", type=int, default=2, help="clips per thread and step")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--every", type=float, default=150, help="seconds between checkpoints")
    parser.add_argument("--validate", type=int, default=4, help="validation scenes scored at each checkpoint")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    # On shared cores the barriers inside small layers cost most of the time; each half batch has one core.
    torch.set_num_threads(1)

    def log(entry: dict) -> None:
        with (args.run / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        print(json.dumps(entry), flush=True)

    vae = load_vae(args.out) if args.decoder_only else build(args.channels)
    if args.grow is not None:
        vae = grow_decoder(vae, args.grow)
    vae.encoder.requires_grad_(not args.decoder_only)
    if (args.run / "vae.safetensors").exists():
        log({"resumed": read_state(args.run / "vae.safetensors")})
    else:
        if not args.decoder_only:
            start_from_principal_components(vae, starting_videos(scene_files(args.scenes), 24))
        held_out = scene_files(args.scenes, validation=True)[: args.validate]
        log({"start": validate(vae, held_out), "parameters": sum(p.numel() for p in vae.parameters())})
    train(vae, args.run, args, {"step": 0, "seconds": 0.0, "channels": args.channels}, log)


if __name__ == "__main__":
    main()
