"""Where small signs lose their colour: one stage of the job after the other with the truth before it, on tuning scenes.

    python benchmarks/sign_stages.py --model models/embedded

VAE: the photoreal twin encoded and decoded. Denoiser at time t: one call on the twin's latent with noise of that flow
time, so that all before it is true; what is lost beyond the VAE's loss is the network's own. Job: default settings.
Kept is the share of views whose sign has its stated colour nearest (as in embedded.py), PSNR that of signs' pixels.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

# Of the tuning scenes from 800000 to 800023, those whose signs come near.
SEEDS = (800_002, 800_007, 800_008, 800_011, 800_012, 800_015, 800_017, 800_021)
TIMES = (0.2, 0.5, 0.8, 0.95)


def stages(model, source, twin) -> dict:
    """Frames by stage."""
    import torch

    from benchmarks.embedded import EnhanceSettings, RenderedBuffers, enhance
    from benchmarks.guided import exact_maps
    from pipeline_core.diffusion import VE

    latent = model.encode(twin.rgb)
    frames = {"VAE": model.decode(latent)}
    hints = {name: model.encode_hint(values) for name, values in exact_maps(source).items()}
    text = {"positive": model.encode_text([model.preset.prompt])}
    predict = model.predictor(text, hints, dict.fromkeys(hints, 1 / len(hints)), VE)
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(0))
    for t in TIMES:
        sigma = t / (1 - t)
        with torch.no_grad():
            x0 = predict(latent + sigma * noise, sigma, ["positive"])[0]
        frames[f"denoiser at {t:g}"] = model.decode(x0.float())
    frames["job"] = enhance(source.rgb, model, EnhanceSettings(), RenderedBuffers(source))[0]
    return frames


def main() -> None:
    import torch

    from benchmarks.embedded import SIZE, colour_metrics, make_scene, mean, render_styles
    from pipeline_core.models.folders.loading import load_video_model
    from pipeline_core.world.tags import TRAFFIC_SIGN

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "embedded")
    model = load_video_model(parser.parse_args().model)
    kept, errors, objects = {}, {}, set()
    for seed in SEEDS:
        clips = render_styles(make_scene(seed), 17, SIZE, ("synthetic", "photoreal.day"))
        source, twin = clips["synthetic"], clips["photoreal.day"]
        signs = source.classes == TRAFFIC_SIGN
        for stage, frames in stages(model, source, twin).items():
            metric = colour_metrics(source)["signs"]
            metric.update(frames, twin.rgb, source.classes, source.instances)
            kept.setdefault(stage, []).extend(d.kept for d in metric.decisions)
            errors.setdefault(stage, []).append((frames - twin.rgb)[signs].square().flatten())
            objects |= {(seed, d.instance) for d in metric.decisions}
    views = len(next(iter(kept.values())))
    print(f"{views} views of {len(objects)} signs, seeds {', '.join(map(str, SEEDS))}\n")
    print("| stage | kept | PSNR of signs |\n| --- | --- | --- |")
    for stage, values in kept.items():
        print(f"| {stage} | {mean(values):.3f} | {float(-10 * torch.cat(errors[stage]).mean().log10()):.1f} |")


if __name__ == "__main__":
    main()
