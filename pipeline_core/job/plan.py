"""What a job will do, before anything runs: windows, sizes, controls, prompts, and what the report says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from torch import Tensor

from ..conditions.maps import available_controls, check_maps, clip_disparity_limits
from ..conditions.stack import normalise_weights
from ..longvideo import (
    Window,
    plan_windows,
)
from ..longvideo.plan import compute_factor
from ..perception.estimators import Estimators, estimated_limits
from ..perception.flow import estimated_flow, require_flow
from ..video.frames import as_floats, resize, working_size
from .settings import EnhanceSettings, resolve

if TYPE_CHECKING:
    from ..conditions.buffers import Buffers
    from ..conditions.depth import DisparityLimits
    from ..models.networks.video_model import VideoModel

# progress(done model steps, all model steps): called after every step of every window.
Progress = Callable[[int, int], None]


@dataclass
class Report:
    """What was done: resolved settings, notes on everything that was changed about the input, one entry a window."""

    settings: dict
    notes: list[str]
    plan: dict
    windows: list[dict] = field(default_factory=list)

    def to_dict(self) -> dict:
        return {"settings": self.settings, "plan": self.plan, "notes": self.notes, "windows": self.windows}


@dataclass(frozen=True)
class Job:
    """Everything the windows share. Made by `prepare`, run by `run`."""

    model: VideoModel
    settings: EnhanceSettings
    windows: list[Window]
    size: tuple[int, int]
    work_size: tuple[int, int]
    texts: dict[str, Tensor]
    weights: dict[str, float]
    buffers: Buffers | None
    estimators: Estimators
    limits: DisparityLimits | None
    maps: Mapping[str, Tensor]
    report: Report


def prepare(
    frame_count: int,
    size: tuple[int, int],
    model: VideoModel,
    settings: EnhanceSettings,
    buffers: Buffers | None = None,
    estimators: Estimators = Estimators(),
    read: Callable[[], Iterable[Tensor]] | None = None,
    maps: Mapping[str, Tensor] | None = None,
    description: str = "",
) -> Job:
    """Plan a job for a clip of `frame_count` frames of `size` (height, width).

    buffers: the simulator's; estimators: models for what the buffers lack; read: gives the clip's frames from the
    start, used for a first pass where depth is estimated, because its scale is the whole clip's; maps: ready-made
    control maps of the whole clip (see conditions.maps.check_maps), which go before buffers and models;
    description: what is in the clip, for the preset's prompts, default: what the buffers say.
    Raises UserError for settings out of range, an unknown control and maps that do not fit the clip.
    """
    preset, maps = model.preset, dict(maps or {})
    check_maps(maps, frame_count, size)
    if buffers is not None:
        description = description or buffers.scene.get("description", "")
    settings = resolve(settings, preset, description)
    notes = list(model.notes)
    no_flow = settings.handover == "motion" and (buffers is None or "flow" not in buffers.channels)
    if no_flow:
        notes.append("No optical flow came with the clip: the hand-over's motion was estimated from its frames.")
    if estimators.flow is None and (no_flow or settings.stitch == "flow"):
        require_flow()
        estimators = replace(estimators, flow=estimated_flow)
    controls, missing = {}, []
    for name, weight in settings.controls.items():
        if name in maps or name in available_controls(buffers, estimators):
            controls[name] = weight
        elif weight > 0:
            missing.append(name)
    if missing:
        notes.append(
            f"No {' and no '.join(missing)} control: the clip came without such maps and no model for it was given."
        )
    if unused := [name for name in maps if settings.controls.get(name, 0) == 0]:
        notes.append(f"The {' and the '.join(unused)} map had no effect: its weight is 0 or the model lacks it.")
    weights = {name: weight for name, weight in normalise_weights(controls).items() if weight > 0}
    work_size = working_size(size, preset.size, preset.spatial_ratio * 2)
    if work_size != size:
        notes.append(
            f"Frames of {size[1]}x{size[0]} were resized to {work_size[1]}x{work_size[0]} for the model, "
            "and its result back."
        )
    windows = plan_windows(frame_count, preset.window, preset.overlap, preset.temporal_ratio)
    padding = windows[-1].stop - frame_count
    if padding:
        notes.append(f"The last frame was repeated {padding} times to fill a window and trimmed from the result.")
    branches = {
        "positive": settings.prompt,
        "negative": settings.negative_prompt,
        "inversion": settings.inversion_prompt,
    }
    embeddings = model.encode_text(list(branches.values()))
    texts = {name: embeddings[i : i + 1] for i, name in enumerate(branches)}
    plan = {
        "frames": frame_count,
        "windows": [[w.start, w.stop] for w in windows],
        "window": preset.window,
        "compute_factor": round(compute_factor(windows, frame_count), 3),
        "work_size": list(work_size),
        "controls": weights,
    }
    limits = None
    if "depth" in weights and "depth" not in maps:
        if buffers is not None and "depth" in buffers.channels:
            limits = clip_disparity_limits(buffers)
        else:
            small = (resize(as_floats(frame)[None], work_size)[0] for frame in read())
            limits = estimated_limits(estimators.depth, small)
    return Job(
        model,
        settings,
        windows,
        size,
        work_size,
        texts,
        weights,
        buffers,
        estimators,
        limits,
        maps,
        Report(settings.to_dict(), notes, plan),
    )
