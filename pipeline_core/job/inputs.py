"""What a window is made from: its frames and maps at the model's size, and the model with them bound inside."""

from __future__ import annotations

from torch import Tensor

from ..conditions.flow import buffer_flow
from ..conditions.maps import given_maps, window_classes, window_maps
from ..diffusion import Predict
from .hold import sign_places
from .plan import Job


def window_inputs(job: Job, index: int, clip: Tensor) -> dict[str, Tensor]:
    """A window's source and control maps at the model's size, by name, the source's flow where a hand-over follows it,
    and the places of signs to be held (see hold.py), where there are classes to say so.

    clip: the window's frames (T, h, w, 3) in [0, 1], at the model's size: maps are made of what the model sees.
    """
    window = job.windows[index]
    maps = given_maps(job.maps, job.weights, window.start, window.length, job.work_size)
    to_make = [name for name in job.weights if name not in maps]
    known, convention = (job.buffers, job.estimators), job.model.preset.maps
    classes = window_classes(clip, window.start, *known) if job.settings.hold_signs else None
    maps |= window_maps(to_make, clip, window.start, *known, job.limits, convention, classes)
    if job.settings.handover == "motion" and index:
        known = job.buffers is not None and "flow" in job.buffers.channels
        maps["flow"] = buffer_flow(job.buffers, window.start, window.length) if known else job.estimators.flow(clip)
    places = {} if classes is None else {"places": sign_places(job, classes).to(clip.device)}
    return {"source": clip, **maps, **places}


def window_predictor(job: Job, inputs: dict[str, Tensor]) -> Predict:
    """The model with the job's prompts and a window's maps bound inside; inputs: as `window_inputs` gives them."""
    hints = {name: job.model.encode_hint(inputs[name]) for name in job.weights}
    edited = {"source": job.model.encode(inputs["source"])} if job.model.edits else {}
    return job.model.predictor(job.texts, hints, job.weights, job.interpolant, job.settings.cache, **edited)
