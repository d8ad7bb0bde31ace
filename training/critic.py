"""Train the critic (synthetic against photoreal frames) on scenes of its own: one command.

    python -m training.render --first 600000 --count 60
    python -m training.critic

Both classes pass through the same random exposure, gamma, colour cast, saturation, blur and noise, half of each
after the VAE, so that neither a mean colour nor the blur of the codec gives a class away.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from pipeline_core.errors import UserError
from pipeline_core.metrics.critic import EMBEDDED_CRITIC, CriticNetwork, save_critic
from pipeline_core.models.networks.vae import decode_latents, encode_clips

from .disturbance import disturb
from .latents import load_vae

FIRST_SEED, SEEDS = 600_000, 1000
VALIDATION_SHARE = 0.15
WIDTHS = (24, 40, 64, 96)
CROP = (80, 128)
BATCH = 24
RATE = 2e-3


def critic_scenes(folder: Path) -> list[Path]:
    """Shards with seeds 600000 to 600999: the generator never sees them."""
    wanted = range(FIRST_SEED, FIRST_SEED + SEEDS)
    files = [f for f in sorted(folder.glob("scene_*.safetensors")) if int(f.stem.split("_")[1]) in wanted]
    if len(files) < 20:
        raise UserError(
            f"{folder} holds {len(files)} scenes with seeds from {FIRST_SEED}; 20 are needed: "
            f"python -m training.render --first {FIRST_SEED} --count 60"
        )
    return files


def load_frames(files: list[Path], vae: torch.nn.Module, stride: int = 4) -> dict[bool, torch.Tensor]:
    """Per class (photoreal or not) uint8 frames (N, 2, H, W, 3): as rendered, and after the VAE."""
    from safetensors.torch import load_file

    frames: dict[bool, list[torch.Tensor]] = {True: [], False: []}
    for path in files:
        for name, clip in load_file(str(path)).items():
            if not name.startswith("rgb."):
                continue
            with torch.autocast("cpu", torch.bfloat16):
                decoded = decode_latents(vae, encode_clips(vae, clip[None].float() / 255))[0]
            pair = torch.stack([clip, (decoded * 255).round().to(torch.uint8)], 1)
            frames["photoreal" in name].append(pair[::stride])
    return {kind: torch.cat(clips) for kind, clips in frames.items()}


def draw_batch(frames: dict[bool, torch.Tensor], generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Equal numbers of both classes, one random window for all: (B, 3, 80, 128) and labels (B,)."""
    parts, (h, w) = [], CROP
    for kind in (True, False):
        pool = frames[kind]
        rows = torch.randint(len(pool), (BATCH // 2,), generator=generator)
        version = torch.randint(2, (BATCH // 2,), generator=generator)
        parts.append(pool[rows, version])
    y = int(torch.randint(parts[0].shape[1] - h + 1, (1,), generator=generator))
    x = int(torch.randint(parts[0].shape[2] - w + 1, (1,), generator=generator))
    clips = torch.cat(parts)[:, y : y + h, x : x + w].movedim(-1, 1).float() / 255
    labels = torch.cat([torch.ones(BATCH // 2), torch.zeros(BATCH // 2)])
    mirrored = torch.rand(BATCH, 1, 1, 1, generator=generator) < 0.5
    clips = disturb(clips, generator)
    return torch.where(mirrored, clips.flip(-1), clips), labels


@torch.no_grad()
def accuracy(network: CriticNetwork, frames: dict[bool, torch.Tensor]) -> dict[str, float]:
    """Share of undisturbed whole frames judged rightly, per class and version."""
    report = {}
    for kind, name in ((True, "photoreal"), (False, "synthetic")):
        for version, suffix in enumerate(("", " after the VAE")):
            whole = frames[kind][:, version].movedim(-1, 1)
            logits = torch.cat([network(part.float() / 255)[0] for part in whole.split(32)])
            report[name + suffix] = round(((logits > 0) == kind).float().mean().item(), 4)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=Path, default=Path("training/data/scenes"))
    parser.add_argument("--vae", type=Path, default=Path("models/embedded/vae"))
    parser.add_argument("--out", type=Path, default=EMBEDDED_CRITIC)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    files = critic_scenes(args.scenes)
    held_out = max(2, int(len(files) * VALIDATION_SHARE))
    vae = load_vae(args.vae)
    train, validation = load_frames(files[:-held_out], vae), load_frames(files[-held_out:], vae)
    network = CriticNetwork(WIDTHS)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-3)
    generator = torch.Generator().manual_seed(args.seed)
    start, mean_loss = time.monotonic(), math.log(2)
    for step in range(args.steps):
        clips, labels = draw_batch(train, generator)
        loss = F.binary_cross_entropy_with_logits(network(clips)[0], labels)
        optimizer.param_groups[0]["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / args.steps))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        mean_loss += 0.02 * (loss.item() - mean_loss)
        if step % 100 == 99:
            print(f"step {step + 1} loss {mean_loss:.4f} {accuracy(network, validation)}", flush=True)
    config = {
        "widths": list(WIDTHS),
        "seeds": [int(files[0].stem.split("_")[1]), int(files[-1].stem.split("_")[1])],
        "scenes": len(files),
        "steps": args.steps,
        "seconds": round(time.monotonic() - start),
        "accuracy_held_out": accuracy(network, validation),
    }
    save_critic(network, args.out, config)


if __name__ == "__main__":
    main()
