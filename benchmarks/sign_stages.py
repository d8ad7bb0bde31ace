"""Where signs lose their colour: tuning scenes whose job loses one, and there the truth in the place of stages.

    python benchmarks/sign_stages.py --model models/embedded

Every tuning scene of the range that shows signs is enhanced by the preset; kept is the share of views whose sign has
its stated colour nearest (as in embedded.py). Of the scenes in which a view is lost, one stage after the other then
has the truth before it. VAE: the photoreal twin encoded and decoded. From sigma s: sampling begins there, at the twin's
latent under the job's own noise (what its inversion found), so that all that was decided above s is true. Fresh noise:
the same under noise of seed 0, so that only the maps and the words are left of the clip. Last the same job with signs
held to the source (hold_signs), of these scenes and of all.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from benchmarks.embedded import SIZE, colour_metrics, mean, psnr  # noqa: E402
from benchmarks.guided import Bench, open_bench  # noqa: E402
from pipeline_core.diffusion import CFG, VE, guided, latent_places, sample  # noqa: E402
from pipeline_core.job.settings import EnhanceSettings  # noqa: E402
from pipeline_core.models.folders.loading import load_video_model  # noqa: E402
from pipeline_core.world import make_scene, render  # noqa: E402
from pipeline_core.world.tags import TRAFFIC_SIGN  # noqa: E402

FIRST, FRAMES = 800_024, 17  # behind the scenes that training looks at
SIGMAS = (0.25, 1.0, 4.0, 16.0)
LEAST = 12  # pixels of the largest sign in a frame, below which a scene is not worth a job


def shows_signs(seed: int) -> bool:
    clip = render(make_scene(seed), FRAMES, SIZE)
    return int((clip.classes == TRAFFIC_SIGN).flatten(1).sum(1).max()) >= LEAST


def signs_of(bench: Bench, outputs: list[Tensor]) -> list[list]:
    """Of every clip, what became of the views of its signs."""
    found = []
    for clip, frames in zip(bench.clips, outputs, strict=True):
        metric = colour_metrics(clip.source)["signs"]
        metric.update(frames, clip.twins["day"].rgb, clip.source.classes, clip.source.instances)
        found.append(metric.decisions)
    return found


def decoded(bench: Bench, latents: Tensor) -> list[Tensor]:
    return [bench.model.decode(latent[None]) for latent in latents]


def held_job(bench: Bench) -> Tensor:
    """Latents of the default job with signs held."""
    signs, size = [clip.source.classes == TRAFFIC_SIGN for clip in bench.clips], tuple(bench.latent.shape[2:])
    return bench.job(EnhanceSettings(hold_signs=1.0), torch.cat([latent_places(mask, size) for mask in signs]))


def stages(bench: Bench) -> dict[str, list[Tensor]]:
    """Frames of every clip by stage."""
    twins = torch.cat([bench.model.encode(clip.twins["day"].rgb) for clip in bench.clips])
    found, grid = {"VAE": decoded(bench, twins)}, bench.sigmas()
    denoise, inverted = guided(bench.predict(), CFG(1.0)), bench.inverted().noise
    for name, noise in (("from sigma", inverted), ("fresh noise, from sigma", bench.fresh())):
        for sigma in SIGMAS:
            levels = torch.cat([torch.tensor([sigma]), grid[grid < sigma]])
            found[f"{name} {sigma:g}"] = decoded(bench, sample(denoise, noise, levels, VE, x0=twins))
    found["job"] = decoded(bench, bench.job(EnhanceSettings()))
    return found | {"job, signs held": decoded(bench, held_job(bench))}


def sign_psnr(bench: Bench, outputs: list[Tensor]) -> float:
    errors = [
        (frames - clip.twins["day"].rgb)[clip.source.classes == TRAFFIC_SIGN].square().flatten()
        for clip, frames in zip(bench.clips, outputs, strict=True)
    ]
    return float(-10 * torch.cat(errors).mean().log10())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "embedded")
    parser.add_argument("--scenes", type=int, default=60, help="tuning scenes looked at, from 800024 on")
    options = parser.parse_args()
    model, kept, figures = load_video_model(options.model), {}, {}
    for seed in filter(shows_signs, range(FIRST, FIRST + options.scenes)):
        bench = open_bench([seed], model=model)
        for name, latents in {"job": bench.job(EnhanceSettings()), "job, signs held": held_job(bench)}.items():
            outputs = decoded(bench, latents)
            views = [decision.kept for decision in signs_of(bench, outputs)[0]]
            kept.setdefault(name, {})[seed] = views
            twin = bench.clips[0].twins["day"].rgb
            figures.setdefault(name, []).append((psnr(outputs[0], twin), sign_psnr(bench, outputs)))
            print(f"scene {seed}, {name}: {views.count(False)} of {len(views)} views lost", flush=True)
    for name, scenes in kept.items():
        views, (whole, signs) = sum(scenes.values(), []), map(mean, zip(*figures[name]))
        print(f"{name}: {views.count(False)} of {len(views)} views lost, {whole:.2f} dB, signs {signs:.1f} dB")
    failing = [seed for seed, views in kept.get("job", {}).items() if not all(views)]
    print(f"\nlost in the scenes {', '.join(map(str, failing)) or '-'}\n", flush=True)
    if not failing:
        return
    bench = open_bench(failing, model=model)
    print("| stage | kept | PSNR of signs |\n| --- | --- | --- |")
    for stage, outputs in stages(bench).items():
        views = [decision.kept for decisions in signs_of(bench, outputs) for decision in decisions]
        print(f"| {stage} | {mean(views):.3f} | {sign_psnr(bench, outputs):.1f} |", flush=True)


if __name__ == "__main__":
    main()
