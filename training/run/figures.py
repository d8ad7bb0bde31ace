"""What tuning scenes say about a run: errors of every average, and the twin's PSNR through the whole job."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from pipeline_core.enhance import enhance
from pipeline_core.job.settings import EnhanceSettings
from pipeline_core.metrics.fidelity import PSNR
from pipeline_core.models.folders.loading import load_video_model
from pipeline_core.world import RenderedBuffers, make_scene, render_styles
from pipeline_core.world.tags import TRAFFIC_SIGN

from ..dit import stratified_error
from ..latents import TUNING_SEEDS
from ..render import FRAMES, SIZE
from ..vae import validate
from .cache import ScenePool
from .candidate import describe_candidate, write_candidate
from .learner import EXPONENTS
from .opening import Run
from .schedule import world_of

ERROR_SCENES, VAE_SCENES = 24, 4
# Of whole jobs; of the first 24 tuning scenes, those whose signs come near.
JOB_SEEDS = (800_007, 800_011, 800_021)


class Stopped(Exception):
    """The run was asked to stop while it measured."""


def tuning_figures(run: Run, stop: Callable[[], bool]) -> dict | None:
    """Measure every average, write the best as the run's candidate and run jobs with it; the log's entry.

    error: of the DiT, by average and (the best's) in fifths of flow time. vae: PSNR in dB, mean of both styles, by
    average; photoreal and synthetic of the best. psnr, sign_psnr: of jobs against the photoreal twin, on all pixels
    and on those of signs. None when `stop()` came true; then there is no new candidate.
    """

    def go_on() -> None:
        if stop():
            raise Stopped

    try:
        entry, chosen = _figures_of_averages(run, go_on)
        folder = write_candidate(run, chosen)
        entry |= _job_figures(run, folder, go_on)
    except Stopped:
        return None
    describe_candidate(run, entry)
    return entry


def _figures_of_averages(run: Run, go_on: Callable[[], None]) -> tuple[dict, dict[str, float]]:
    """The entry's error and vae, and {learner: the exponent of its best average}."""
    dit, vae = run.learners["dit"], run.learners["vae"]
    scenes = ScenePool(run.cache, range(TUNING_SEEDS, TUNING_SEEDS + ERROR_SCENES))
    for seed in scenes.seeds:  # rendered and encoded the first time
        go_on()
        run.cache.latents(seed)
    files = [run.cache.frames(seed) for seed in scenes.seeds[:VAE_SCENES]]
    errors, scores = {}, {}
    for exponent in EXPONENTS:
        go_on()
        # Compiled anew for another kind of call, the blocks would cost more than they save here.
        with torch.compiler.set_stance("force_eager"):
            errors[exponent], bins = dit.averaged(
                exponent, lambda: stratified_error(dit.network, scenes, run.channel_weights)
            )
        if errors[exponent] == min(errors.values()):
            best_bins = bins
        go_on()
        scores[exponent] = vae.averaged(exponent, lambda: validate(vae.network, files))
    chosen = {
        "dit": min(EXPONENTS, key=lambda e: errors[e]),
        "vae": max(EXPONENTS, key=lambda e: sum(scores[e].values())),
    }
    entry = {
        "error": {str(e): error for e, error in errors.items()},
        "error_bins": best_bins,
        "vae": {str(e): sum(score.values()) / len(score) for e, score in scores.items()},
        **{f"vae_{kind}": value for kind, value in scores[chosen["vae"]].items()},
    }
    return entry, chosen


def _job_figures(run: Run, folder: Path, go_on: Callable[[], None]) -> dict[str, float]:
    """psnr and sign_psnr of the model folder on JOB_SEEDS."""
    model = load_video_model(folder)
    whole, signs = [], []
    for seed in JOB_SEEDS:
        go_on()
        scene = make_scene(seed, version=world_of(seed, run.config.worlds))
        clips = render_styles(scene, FRAMES, SIZE, ("synthetic", "photoreal.day"))
        source, twin = clips["synthetic"], clips["photoreal.day"].rgb
        output = enhance(source.rgb, model, EnhanceSettings(), RenderedBuffers(source))[0]
        metric = PSNR()
        metric.update(output, twin)
        whole.append(metric.compute()["psnr"].value)
        signs.append((output - twin)[source.classes == TRAFFIC_SIGN].square().flatten())
    error = torch.cat(signs).mean()
    return {"psnr": sum(whole) / len(whole), "sign_psnr": float(-10 * error.log10())}
