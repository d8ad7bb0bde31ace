"""A second pass at the clip's own size: low strength, in tiles of the model's size, for detail that no source has.

Noise Calibration's refiner (arXiv 2407.10285): the delivered frames under little noise, calibrated so that their coarse
layout stays, or under the noise that inverting them gives, sampled down again. Edges are found at full size, so that
the tiles draw what belongs there. Window after window: memory holds two windows of full-size frames, whatever the
clip's length.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UserError
from ..longvideo import blend_windows
from ..longvideo.stitch import window_clips
from ..longvideo.tiles import TOKEN, tiled_predict
from ..video.frames import as_floats
from ..video.tiles import plan_tiles
from .inputs import window_inputs, window_predictor
from .latent import enhance_latent, job_sigmas
from .plan import Job

OVERLAP = 4  # a tile shares at least one part in so many with its neighbour


def refined(
    job: Job, pairs: Iterable[tuple[Tensor, Tensor]], step_done: Callable[[], None]
) -> Iterator[tuple[Tensor, Tensor]]:
    """(source frame, delivered frame) of the clip in order, both (H, W, 3), with the second pass in the delivered."""
    sources: deque[Tensor] = deque()

    def both() -> Iterator[Tensor]:
        for frame, delivered in pairs:
            sources.append(frame)
            yield torch.cat([as_floats(frame).to(delivered), delivered], -1)

    clips = window_clips(both(), job.windows, job.report.notes.append)
    finished = (_refined_window(job, index, *clip.split(3, -1), step_done) for index, clip in enumerate(clips))
    for frame in blend_windows(finished, job.windows):
        yield sources.popleft(), frame


def refine_job(job: Job) -> Job:
    """The job as the second pass runs it."""
    ours = job.settings
    settings = replace(
        ours, start=ours.refine_start, strength=ours.refine, handover="none", cache=0.0, solver="dpmpp_2m"
    )
    return replace(job, settings=settings)


def refine_sigmas(job: Job) -> Tensor:
    """The levels of the second pass, descending; UserError where they are too few to invert by the exact method."""
    settings = refine_job(job).settings
    sigmas = job_sigmas(settings, job.model.preset, job.interpolant)
    if settings.start == "inversion" and settings.method == "exact" and len(sigmas) < 3:
        raise UserError(
            f"refine {settings.refine:g} leaves one of {settings.steps} steps to the second pass, and inverting takes "
            "two: raise refine or steps, or set refine_start to calibration."
        )
    return sigmas


def _refined_window(job: Job, index: int, source: Tensor, delivered: Tensor, step_done: Callable[[], None]) -> Tensor:
    """A window's frames (T, H, W, 3) after the second pass, on the CPU."""
    ratio, (height, width) = job.model.preset.spatial_ratio, job.size
    cell = ratio * TOKEN
    source, delivered = (_padded(clip, cell) for clip in (source, delivered))
    size = tuple(source.shape[1:3])
    in_cells, tile = (tuple(side // cell for side in sides) for sides in (size, job.work_size))
    cells = plan_tiles(in_cells, tile, max(1, min(tile) // OVERLAP) if max(tile) > 1 else 0)
    pixels, latents = cells.scaled(cell), cells.scaled(TOKEN)

    whole = replace(refine_job(job), work_size=size)
    maps = {name: pixels.cut(_planes(values)) for name, values in window_inputs(whole, index, source).items()}
    predicts = [
        window_predictor(whole, {name: _frames(parts[i]) for name, parts in maps.items()}) for i in range(len(cells))
    ]
    x0 = latents.join(job.model.encode(_frames(part)) for part in pixels.cut(_planes(delivered)))
    seed = job.settings.seed + index
    args = refine_sigmas(job).to(x0.device), whole.settings, job.interpolant, seed, lambda *_: step_done()
    latent, _ = enhance_latent(tiled_predict(predicts, latents), x0, *args)
    refined_frames = pixels.join(_planes(job.model.decode(part.contiguous()).cpu()) for part in latents.cut(latent))
    return _frames(refined_frames)[:, :height, :width].clamp(0, 1).cpu()


def _planes(frames: Tensor) -> Tensor:
    """(T, H, W, 3) as (T, 3, H, W); maps (T, H, W) as they are."""
    return frames.movedim(-1, 1) if frames.ndim == 4 else frames


def _frames(planes: Tensor) -> Tensor:
    """The way back of `_planes`."""
    return (planes.movedim(1, -1) if planes.ndim == 4 else planes).contiguous()


def _padded(clip: Tensor, multiple: int) -> Tensor:
    """Frames (T, H, W, 3) whose last row and column are repeated up to a multiple."""
    down, across = (-side % multiple for side in clip.shape[1:3])
    return _frames(F.pad(_planes(clip), (0, across, 0, down), mode="replicate"))
