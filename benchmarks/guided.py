"""What the guidance benchmark runs on: scenes with their twins, latents, maps and inversions, and their figures.

All scenes go through the network as one batch, one call per branch, which costs a quarter less than one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from benchmarks.embedded import SIZE, colour_metrics, mean
from pipeline_core.conditions.estimated import Estimators
from pipeline_core.conditions.maps import clip_disparity_limits, window_maps
from pipeline_core.conditions.stack import CONTROLS, normalise_weights
from pipeline_core.diffusion import VE, Inversion, guided, invert, sample
from pipeline_core.diffusion.frequency import low_pass
from pipeline_core.diffusion.guidance import Guidance, Only
from pipeline_core.diffusion.solvers import Solver
from pipeline_core.job.latent import enhance_handed, job_sigmas
from pipeline_core.job.settings import EnhanceSettings, resolve
from pipeline_core.metrics.critic import load_critic
from pipeline_core.metrics.objects import LampColours
from pipeline_core.metrics.realism import FeatureStatistics, frechet_distance
from pipeline_core.metrics.structure import EdgeF1
from pipeline_core.models.folders.loading import load_video_model
from pipeline_core.models.folders.lora import Lora
from pipeline_core.models.networks.video_model import VideoModel
from pipeline_core.world import Render, RenderedBuffers, make_scene, render_styles
from pipeline_core.world.scene import Scene

EDGE_STRIDE = 2  # edge F1 on every second frame: neighbours say the same, and Canny is the dearest figure
LF_BAND = 0.25  # low frequencies of an image, as a share of Nyquist, for the error to the input


@dataclass(frozen=True)
class Clip:
    """One scene: its synthetic render, its photoreal twins by look, and the critic's features of those."""

    scene: Scene
    source: object
    twins: dict[str, object]
    features: dict[str, Tensor]

    @property
    def description(self) -> str:
        return self.source.scene["description"]


@dataclass
class Bench:
    """Clips as one batch: latent (S, C, t, h, w), hints of the same, the model, the critic and a count of calls.

    one_by_one: every condition is a call of its own, instead of a part of the model's own batches. weigh: from the
    controls' weights to what multiplies their branches.
    """

    model: VideoModel
    critic: Callable
    clips: list[Clip]
    latent: Tensor
    hints: dict[str, Tensor]
    calls: int = 0
    one_by_one: bool = True
    weigh: Callable[[dict[str, float]], dict[str, float]] = normalise_weights
    inversions: dict = field(default_factory=dict)

    def take(self, indices: Sequence[int]) -> Bench:
        """A bench of some of the clips; one may come twice."""
        index = torch.tensor(list(indices))
        hints = {name: hint[index] for name, hint in self.hints.items()}
        return Bench(self.model, self.critic, [self.clips[i] for i in indices], self.latent[index], hints)

    def settings(self, **changes) -> EnhanceSettings:
        """The preset's settings with some changed."""
        return resolve(EnhanceSettings(**changes), self.model.preset)

    def sigmas(self, strength: float | None = None, steps: int | None = None) -> Tensor:
        """The pipeline's grid at a strength and a number of steps, the preset's where none are given."""
        return job_sigmas(self.settings(strength=strength, steps=steps), self.model.preset, VE)

    def fresh(self) -> Tensor:
        """Random noise as the pipeline draws it for the first window of each clip at seed 0."""
        one = torch.randn(self.latent[:1].shape, generator=torch.Generator().manual_seed(0))
        return one.expand_as(self.latent).contiguous()

    def prompts(self) -> dict[str, list[str]]:
        """The preset's three of every clip."""
        preset = self.model.preset
        return {
            "positive": [f"{preset.prompt}, {clip.description}" for clip in self.clips],
            "negative": [preset.negative_prompt] * len(self.clips),
            "inversion": [f"{preset.inversion_prompt}, {clip.description}" for clip in self.clips],
        }

    def predict(
        self, controls: dict[str, float] | None = None, cache: float = 0.0, **prompts: Sequence[str]
    ) -> Callable:
        """predict(x, sigma, branches) with the preset's three branches and more, or others, by name.

        cache: threshold of the first-block cache.
        """
        texts = {name: self.model.encode_text(words) for name, words in (self.prompts() | prompts).items()}
        weights = self.weigh(self.model.preset.control_weights if controls is None else controls)
        batched = self.model.predictor(texts, self.hints, weights, VE, cache)

        def predict(x: Tensor, sigma: float, branches: Sequence[str]) -> list[Tensor]:
            self.calls += len(branches)
            if not self.one_by_one:
                return batched(x, sigma, branches)
            return [batched(x, sigma, [name])[0] for name in branches]

        return predict

    def inverted(self, strength: float | None = None, method: str = "exact") -> Inversion:
        """The inversion under the clips' own inversion prompts; made once, and its calls counted every time."""
        key = strength, method
        if key not in self.inversions:
            describe = guided(self.predict(), Only("inversion"))
            before = self.calls
            self.inversions[key] = invert(describe, self.latent, self.sigmas(strength), VE, method)
            self.calls = before
        self.calls += self.inversions[key].report.calls
        return self.inversions[key]

    def retrace(
        self,
        guidance: Guidance,
        strength: float | None = None,
        method: str = "exact",
        noise: Callable[[Tensor], Tensor] | None = None,
        **prompts: Sequence[str],
    ) -> Tensor:
        """Latents enhanced from the inversion, or from `noise(its noise)`, an edit of it."""
        inversion = self.inverted(strength, method)
        start = inversion.noise if noise is None else noise(inversion.noise)
        denoise = guided(self.predict(**prompts), guidance)
        return sample(denoise, start, self.sigmas(strength), VE, solver=inversion.solver)

    def from_noise(
        self, guidance: Guidance, noise: Tensor, sigmas: Tensor, solver: str | Solver = EnhanceSettings.solver
    ) -> Tensor:
        """Latents sampled over the source under a noise, as the starts sdedit and calibration do."""
        denoise = guided(self.predict(), guidance)
        return sample(denoise, noise, sigmas, VE, x0=self.latent, solver=solver)

    def drawn(self, guidance: Guidance, **prompts: Sequence[str]) -> Tensor:
        """Latents sampled from noise alone, as the start noise does: nothing of the clips but maps and words."""
        return sample(guided(self.predict(**prompts), guidance), self.fresh(), self.sigmas(1.0), VE)

    def job(self, settings: EnhanceSettings, places: Tensor | None = None) -> Tensor:
        """Latents of the pipeline's own passes at these settings; places: what hold_signs holds."""
        settings = resolve(settings, self.model.preset)
        predict = self.predict(controls=settings.controls)
        sigmas = job_sigmas(settings, self.model.preset, VE)
        done = lambda *_: None  # noqa: E731
        return enhance_handed(predict, self.latent, sigmas, settings, VE, settings.seed, done, places=places).latent

    def row(self, name: str, make: Callable[[], Tensor], looks: Sequence[str] | None = None, **about) -> dict:
        """Figures of the latents make() against the twins of each clip's look (day, where none is given)."""
        self.calls = 0
        latents = make()
        calls, looks = self.calls, looks or ["day"] * len(self.clips)
        figures = [figures_of(self, *each) for each in zip(self.clips, latents, looks, strict=True)]
        row = {"row": name} | summary(figures) | {"calls": calls} | about
        print(f"{name}: {row['psnr']:.2f} dB, critic {row['critic']:.3f}, colours {row['colours']:.3f}", flush=True)
        return row


def open_bench(
    seeds: Sequence[int],
    looks: Sequence[str] = ("day",),
    frames: int | None = None,
    reference: Lora | None = None,
    model: VideoModel | None = None,
) -> Bench:
    """Render, encode and map every seed: so many frames each, by default the preset's window.

    reference: a LoRA that answers the branch "reference" (see `load_video_model`). model: instead of the embedded one.
    """
    from tqdm import tqdm

    model, critic = model or load_video_model(reference=reference), load_critic()
    preset, clips, latents, hints = model.preset, [], [], []
    for seed in tqdm(seeds, desc="scenes"):
        scene = make_scene(seed)
        styles = ("synthetic", *(f"photoreal.{look}" for look in looks))
        renders = render_styles(scene, frames or preset.window, SIZE, styles)
        source = renders.pop("synthetic")
        twins = {name.removeprefix("photoreal."): twin for name, twin in renders.items()}
        clips.append(Clip(scene, source, twins, {look: critic(twin.rgb)[1] for look, twin in twins.items()}))
        hints.append({name: model.encode_hint(values) for name, values in exact_maps(source).items()})
        latents.append(model.encode(source.rgb))
    joined = {name: torch.cat([each[name] for each in hints]) for name in hints[0]}
    return Bench(model, critic, clips, torch.cat(latents), joined)


def exact_maps(source: Render) -> dict[str, Tensor]:
    """The job's control maps of a render, from its buffers."""
    buffers = RenderedBuffers(source)
    return window_maps(CONTROLS, source.rgb, 0, buffers, Estimators(), clip_disparity_limits(buffers))


def figures_of(bench: Bench, clip: Clip, latent: Tensor, look: str) -> dict:
    """What one output shows, before it is averaged with the others."""
    return figures_of_frames(bench.critic, clip, bench.model.decode(latent[None]), look)


def figures_of_frames(critic: Callable, clip: Clip, output: Tensor, look: str) -> dict:
    """The same of an output's frames (T, H, W, 3) in [0, 1]."""
    source, twin = clip.source, clip.twins[look]
    edges, lamps = EdgeF1(), LampColours(source.lights)
    edges.update(output[::EDGE_STRIDE], source.rgb[::EDGE_STRIDE])
    lamps.update(output)
    decisions = {"lamps": [decision.kept for decision in lamps.decisions]}
    for what, objects in colour_metrics(source).items():
        objects.update(output, twin.rgb, source.classes, source.instances)
        decisions[what] = [decision.kept for decision in objects.decisions]
    logits, features = critic(output)
    planes = (output - source.rgb).movedim(-1, 0)[None]
    return {
        "psnr": float(-10 * torch.log10((output - twin.rgb).square().mean())),
        "edge_f1": edges.compute()["edge_f1"].value,
        "kept": decisions,
        "logits": logits,
        "features": features,
        "twin": clip.features[look],
        "lf_input": float(low_pass(planes, LF_BAND, "symmetric").square().mean()),
        "saturation": float((output.amax(-1) - output.amin(-1)).mean()),
    }


def summary(figures: list[dict]) -> dict:
    """Means over clips; shares of views for what was kept; `colours` counts lamps and vehicles together."""
    ours, theirs = FeatureStatistics(), FeatureStatistics()
    for each in figures:
        ours.update(each["features"])
        theirs.update(each["twin"])
    decisions = {what: sum((each["kept"][what] for each in figures), []) for what in ("lamps", "vehicles", "signs")}
    return {
        "psnr": mean([each["psnr"] for each in figures]),
        "edge_f1": mean([each["edge_f1"] for each in figures if each["edge_f1"] is not None]),
        **{what: mean(views) for what, views in decisions.items()},
        "colours": mean(decisions["lamps"] + decisions["vehicles"]),
        "critic": float(torch.sigmoid(torch.cat([each["logits"] for each in figures])).mean()),
        "frechet": frechet_distance(ours.mean, ours.covariance, theirs.mean, theirs.covariance),
        "lf_input": mean([each["lf_input"] for each in figures]),
        "saturation": mean([each["saturation"] for each in figures]),
        "psnr_by_scene": [each["psnr"] for each in figures],
        "views": {what: len(views) for what, views in decisions.items()},
    }
