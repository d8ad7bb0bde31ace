"""Train the embedded DiT, its control branches and text encoder as an EDM denoiser on flow times (resumable).

On a machine that does other work too, start it with OMP_WAIT_POLICY=passive or --threads 1: threads that spin
for each other on busy cores are many times slower than one thread.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from tqdm import tqdm

from pipeline_core.models.networks.cosmos import cosmos_forward
from pipeline_core.models.networks.prediction import network_input, training_target
from pipeline_core.models.networks.text import embed_tokens

from .architecture import ARCHITECTURE, MODALITIES, EmbeddedNetworks, build_networks, parameter_counts
from .channel_weights import channel_weights, decoder_energy
from .checkpoint import load_checkpoint, read_state, save_checkpoint
from .dit_data import Batch, draw_batch, load_scenes, split
from .export import export, load_exported
from .latents import load_vae
from .optimizer import MixedOptimizer

BINS = 5
# As wide as a token of the latent, the embedded DiT has no room to carry noise through: EDM's skip does that.
PREDICTION = "edm"
# Adam's rate as a share of the orthogonalised one.
ADAM_SHARE = 0.125


def prediction_errors(networks: EmbeddedNetworks, batch: Batch, weights: torch.Tensor, autocast: bool) -> torch.Tensor:
    """Per-sample mean square of what the network answers minus what it should (prediction.py); shape (B,).

    weights: (C, 1, 1, 1), how much each latent channel counts; the batch says how much each place does.
    """
    s = batch.sigma.view(-1, 1, 1, 1, 1)
    x = network_input((1 - s) * batch.x0 + s * batch.noise, s, PREDICTION)
    controls = [
        (branch, batch.hints[name], batch.weights[name] if batch.weights[name].any() else 0.0)
        for name, branch in networks.branches.items()
    ]
    # The fused attention's backward pass is slow on the CPU: compiled, a step takes 1.15 s with it and .95 without.
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast), sdpa_kernel(SDPBackend.MATH):
        text = embed_tokens(networks.text_encoder, batch.ids, batch.mask)
        answer = cosmos_forward(networks.transformer, controls, x, batch.sigma, text)
    target = training_target(batch.x0, batch.noise, s, PREDICTION)
    return ((answer.float() - target).square() * weights * batch.importance).flatten(1).mean(1)


def by_sigma(sigmas: torch.Tensor, errors: torch.Tensor) -> list[float | None]:
    """Mean error in equal bins of sigma over [0, 1]; None where a bin is empty."""
    bins = (sigmas * BINS).long().clamp(0, BINS - 1)
    return [round(errors[bins == i].mean().item(), 4) if (bins == i).any() else None for i in range(BINS)]


@torch.no_grad()
def held_out_error(
    networks: EmbeddedNetworks, held, weights: torch.Tensor, seed: int, autocast: bool, batches: int = 12
) -> dict:
    """Prediction error on scenes that are never trained on, same draws every time; control and text as in training."""
    sigmas, errors = [], []
    for index in range(batches):
        batch = draw_batch(held, list(networks.branches), 4, seed + 1, index)
        # Stratified sigmas: the figure would otherwise depend on a lucky draw.
        stratified = (torch.arange(4) + 4 * index + 0.5) / (4 * batches)
        batch = Batch(**{**vars(batch), "sigma": stratified})
        sigmas.append(stratified)
        errors.append(prediction_errors(networks, batch, weights, autocast))
    sigma, error = torch.cat(sigmas), torch.cat(errors)
    return {"held_out": round(error.mean().item(), 4), "held_out_bins": by_sigma(sigma, error)}


def learning_rate(progress: float, step: int, peak: float, warmup: int) -> float:
    """Linear warm-up over `warmup` steps, then cosine down to 2 % of the peak at progress 1."""
    floor = 0.02
    cosine = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    return peak * min((step + 1) / warmup, 1.0) * cosine


# Matrices that mix features inside a block; the modulation, the ends and the text encoder keep Adam's steps.
ORTHOGONAL = ("attn1.", "attn2.", "ff.net", "before_proj", "after_proj")


def parameter_groups(networks: EmbeddedNetworks, rate: float) -> list[dict]:
    """The blocks' inner matrices take orthogonalised steps at `rate`, all else Adam's at an eighth of it."""
    inner, outer = [], []
    for name, parameter in networks.named_parameters():
        mixes = any(part in name for part in ORTHOGONAL) and not name.startswith("text_encoder")
        (inner if mixes and parameter.ndim == 2 else outer).append(parameter)
    return [
        {"params": inner, "orthogonal": True, "lr": rate},
        {"params": outer, "orthogonal": False, "lr": ADAM_SHARE * rate},
    ]


def compile_blocks(networks: EmbeddedNetworks) -> None:
    """Let torch.compile fuse what lies between the products of every block; it needs a C++ compiler."""
    blocks = list(networks.transformer.transformer_blocks)
    for branch in networks.branches.values():
        blocks += list(branch.control_blocks)
    for block in blocks:
        block.compile()


def swap(networks: EmbeddedNetworks, average: dict[str, torch.Tensor]) -> None:
    """Exchange the trained weights and their running average in place."""
    for name, parameter in networks.named_parameters():
        current = parameter.detach().clone()
        parameter.data.copy_(average[name])
        average[name].copy_(current)


def train(args: argparse.Namespace, architecture: Mapping[str, Mapping] = ARCHITECTURE) -> None:
    """The loop: resumes from args.run/checkpoint.safetensors when it exists, with that checkpoint's architecture."""
    from transformers import PreTrainedTokenizerFast

    torch.set_num_threads(args.threads)
    args.run.mkdir(parents=True, exist_ok=True)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(str(args.model / "tokenizer"), local_files_only=True)
    scenes, held = split(load_scenes(args.latents, tokenizer, args.text_length, args.limit))
    held = held or scenes[:1]
    probe = scenes[0].latents["rgb.synthetic"]
    channels = probe.shape[0]
    weights = channel_weights(decoder_energy(load_vae(args.model / "vae"), probe[None].float()))
    path = args.run / "checkpoint.safetensors"
    if path.exists():
        architecture = read_state(path)["architecture"]
    networks = build_networks(channels, len(tokenizer), args.seed, architecture)
    if args.start_from is not None and not path.exists():
        load_exported(args.start_from, networks)
    if args.compile:
        compile_blocks(networks)
    average = {name: p.detach().clone() for name, p in networks.named_parameters()}
    pool = ThreadPoolExecutor(args.threads)
    optimizer = MixedOptimizer(parameter_groups(networks, args.lr), pool.map)
    state = {
        "step": 0,
        "elapsed": 0.0,
        "seed": args.seed,
        "batch": args.batch,
        "channels": channels,
        "architecture": {part: dict(values) for part, values in architecture.items()},
        "vocabulary": len(tokenizer),
        "scenes": len(scenes),
        "parameters": parameter_counts(networks),
    }
    if path.exists():
        state = load_checkpoint(path, networks, average, optimizer) | {"scenes": len(scenes)}
        print(f"resumed at step {state['step']} after {state['elapsed'] / 60:.1f} min")
    print(f"{len(scenes)} scenes, {len(held)} held out, {sum(state['parameters'].values()) / 1e6:.2f} M parameters")

    def progress() -> float:
        if args.steps:
            return state["step"] / args.steps
        return state["elapsed"] / (60 * args.minutes)

    def checkpoint() -> None:
        save_checkpoint(path, networks, average, optimizer, state)
        swap(networks, average)
        report = {"step": state["step"], "minutes": round(state["elapsed"] / 60, 2)}
        report |= held_out_error(networks, held, weights, args.seed, not args.fp32)
        swap(networks, average)
        with (args.run / "log.jsonl").open("a") as log:
            log.write(json.dumps(report) + "\n")
        tqdm.write(json.dumps(report))

    window: list[tuple[torch.Tensor, torch.Tensor]] = []
    clock = saved = time.monotonic()
    bar = tqdm(initial=state["step"], total=args.steps or None, mininterval=10)
    while progress() < 1:
        step = state["step"]
        rate = learning_rate(progress(), step, args.lr, args.warmup)
        for group in optimizer.param_groups:
            group["lr"] = rate * (1.0 if group["orthogonal"] else ADAM_SHARE)
        batch = draw_batch(scenes, MODALITIES, args.batch, args.seed, step)
        errors = prediction_errors(networks, batch, weights, not args.fp32)
        errors.mean().backward()
        norm = torch.nn.utils.clip_grad_norm_(networks.parameters(), args.clip)
        optimizer.step()
        optimizer.zero_grad()
        keep = min(args.average, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.values()), list(networks.parameters()), 1 - keep)
        now = time.monotonic()
        state["step"], state["elapsed"], clock = step + 1, state["elapsed"] + now - clock, now
        window.append((batch.sigma, errors.detach()))
        bar.update()
        if state["step"] % 50 == 0:
            sigma, error = (torch.cat(values) for values in zip(*window))
            if not error.isfinite().all():
                raise SystemExit(f"the loss is not finite at step {step}; resume with a lower --lr")
            line = {
                "step": state["step"],
                "minutes": round(state["elapsed"] / 60, 2),
                "lr": round(rate, 6),
                "loss": round(error.mean().item(), 4),
                "bins": by_sigma(sigma, error),
                "norm": round(norm.item(), 3),
            }
            with (args.run / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            bar.set_postfix(loss=line["loss"])
            window = []
        if now - saved > 60 * args.save_minutes:
            checkpoint()
            saved = time.monotonic()
            clock = saved
    checkpoint()
    pool.shutdown()
    bar.close()
    if args.export:
        export(path, args.model)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latents", type=Path, default=Path("training/data/latents"))
    parser.add_argument("--model", type=Path, default=Path("models/embedded"), help="its tokenizer and vae are read")
    parser.add_argument("--run", type=Path, default=Path("training/runs/dit"))
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=float, help="training time, resumed runs included; sets the schedule")
    budget.add_argument("--steps", type=int, help="optimizer steps, resumed runs included; sets the schedule")
    parser.add_argument("--start-from", type=Path, help="a model folder whose networks a fresh run starts from")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--lr", type=float, default=0.01, help="of the orthogonalised steps")
    parser.add_argument("--warmup", type=int, default=100)
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument("--average", type=float, default=0.999)
    parser.add_argument("--text-length", type=int, default=64)
    parser.add_argument("--limit", type=int, help="use only the first scenes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save-minutes", type=float, default=3.0)
    parser.add_argument("--fp32", action="store_true", help="no bf16 autocast")
    parser.add_argument("--compile", action="store_true", help="a third faster; needs a C++ compiler")
    parser.add_argument("--export", action="store_true", help="export the averaged weights at the end")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
