"""What a job will do, before anything runs: windows, sizes, controls, prompts, levels, and what is said of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from torch import Tensor

from ..conditions.conventions import map_convention
from ..conditions.estimated import Estimators
from ..conditions.maps import available_controls, check_maps, clip_disparity_limits
from ..conditions.stack import normalise_weights
from ..diffusion import VE, Interpolant
from ..errors import UserError
from ..longvideo import Window, plan_windows
from ..longvideo.plan import compute_factor
from ..models.networks.video_model import REFERENCE, UNCOND
from ..perception.estimators import estimated_limits
from ..perception.flow import estimated_flow, require_flow
from ..video.frames import as_floats, resize, working_size
from .contradiction import contradiction_warnings
from .hold import hold_note
from .keep import keep_mask
from .latent import job_interpolant, job_sigmas
from .own_maps import ClipLook, with_own_networks
from .settings import EnhanceSettings, resolve

if TYPE_CHECKING:
    from ..conditions.buffers import Buffers
    from ..conditions.depth import DisparityLimits
    from ..models.networks.video_model import VideoModel

# Controls that a model can make of any clip, and what they hold that edges do not.
_ESTIMATED = {"depth": "how far things are", "segmentation": "what things are"}


@dataclass
class Report:
    """What was done: resolved settings, notes on everything that was changed about the input, one entry a window, and
    warnings of what the result may suffer from."""

    settings: dict
    notes: list[str]
    plan: dict
    windows: list[dict] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def to_dict(self) -> dict:
        report = {"settings": self.settings, "plan": self.plan, "notes": self.notes, "windows": self.windows}
        return {**report, "warnings": self.warnings}


@dataclass(frozen=True)
class Job:
    """Everything the windows share. Made by `prepare`, run by `run`.

    size, work_size: (height, width) of the clip and of what the model sees. texts: branch -> embedding. weights: of the
    controls in use, normalised. limits: the disparity range of the whole clip where depth is made from buffers or by a
    model. maps: ready-made control maps of the whole clip. keep: (H, W) bool, pixels of every frame that are delivered
    as they came. read: the clip's frames from the start, where they can be read again.
    """

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
    keep: Tensor | None = None
    read: Callable[[], Iterable[Tensor]] | None = None

    @property
    def temporal_ratio(self) -> int:
        """Pixel frames per latent frame."""
        return self.model.preset.temporal_ratio

    @cached_property
    def interpolant(self) -> Interpolant:
        return job_interpolant(self.model.preset)

    @cached_property
    def sigmas(self) -> Tensor:
        """The levels of the sampling pass, descending."""
        return job_sigmas(self.settings, self.model.preset, self.interpolant)


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
    keep: Tensor | None = None,
) -> Job:
    """Plan a job for a clip of `frame_count` frames of `size` (height, width).

    buffers: the simulator's; estimators: models for what the buffers lack, models/perception's where none came and the
    clip is of their world (see own_maps.py); read: gives the clip's frames from the start, to see whether it is and
    whether the prompt contradicts it (see contradiction.py), for a first pass where depth is estimated, because its
    scale is the whole clip's (needed there only), and for a second one with fused windows, which hold the clip's frames
    without it; maps: ready-made control maps of the whole clip (see conditions.maps.check_maps), which go before
    buffers and models; description: what is in the clip, for the preset's prompts, default: what the buffers say; keep:
    a mask (H, W) in [0, 1], pixels where it is at least a half stay the clip's own.
    Raises UserError for settings out of range, an unknown control, maps or a mask that do not fit the clip, depth to be
    estimated without read, and a video_scale for a model that edits nothing.
    """
    preset, maps, worded = model.preset, dict(maps or {}), settings.prompt is not None
    check_maps(maps, frame_count, size)
    if buffers is not None:
        description = description or buffers.scene.get("description", "")
    settings = resolve(settings, preset, description)
    if settings.video_scale is not None and not model.edits:
        raise UserError(
            f"video_scale is {settings.video_scale:g}, but this model ({preset.name}) does not edit by instruction: "
            "leave video_scale out, or give a model that does."
        )
    notes = list(model.notes)
    if keep is not None:
        keep = keep_mask(keep, size)
        notes.append(f"The keep mask leaves {float(keep.float().mean()):.1%} of every frame as it is.")
    windows = plan_windows(frame_count, preset.window, preset.overlap, preset.temporal_ratio)
    if len(windows) > 1:
        estimators = _with_flow(estimators, settings, buffers, notes)
    work_size = working_size(size, preset.size, preset.spatial_ratio * 2)
    look = ClipLook(read, frame_count, work_size, model.device)
    if missing := _missing(settings, maps, buffers, estimators):
        estimators = with_own_networks(estimators, missing, look, notes)
    weights = _control_weights(settings, maps, buffers, estimators, notes)
    estimated = _estimated(weights, maps, buffers, estimators, notes)
    if work_size != size:
        notes.append(
            f"Frames of {size[1]}x{size[0]} were resized to {work_size[1]}x{work_size[0]} for the model, "
            "and its result back."
        )
    if padding := windows[-1].stop - frame_count:
        notes.append(f"The last frame was repeated {padding} times to fill a window and trimmed from the result.")
    plan = {
        "frames": frame_count,
        "windows": [[w.start, w.stop] for w in windows],
        "window": preset.window,
        "compute_factor": round(compute_factor(windows, frame_count), 3),
        "work_size": list(work_size),
        "controls": weights,
        "estimated": estimated,
    }
    limits = None
    if "depth" in weights and "depth" not in maps:
        limits = _depth_limits(buffers, estimators, read, work_size, preset.maps)
    # The preset's own prompt says of the clip what its description does.
    warnings = contradiction_warnings(settings, preset, estimators.agreement, look) if worded else []
    report = Report(settings.to_dict(), notes, plan, warnings=warnings)
    texts = _embedded(model, settings)
    if settings.hold_signs:
        notes.append(hold_note(buffers, estimators))
    if settings.simdrop:
        notes.append(_simdrop_cost(model, settings))
    return Job(
        model, settings, windows, size, work_size, texts, weights, buffers, estimators, limits, maps, report, keep, read
    )


def _with_flow(
    estimators: Estimators, settings: EnhanceSettings, buffers: Buffers | None, notes: list[str]
) -> Estimators:
    """With something that estimates optical flow where the job follows it; UserError where nothing can."""
    estimated = settings.handover == "motion" and (buffers is None or "flow" not in buffers.channels)
    if estimated:
        notes.append("No optical flow came with the clip: the hand-over's motion was estimated from its frames.")
    if estimators.flow is None and (estimated or settings.stitch == "flow"):
        require_flow()
        return replace(estimators, flow=estimated_flow)
    return estimators


def _control_weights(
    settings: EnhanceSettings,
    maps: Mapping[str, Tensor],
    buffers: Buffers | None,
    estimators: Estimators,
    notes: list[str],
) -> dict[str, float]:
    """Normalised weights of the controls that are asked for and can be made."""
    missing = _missing(settings, maps, buffers, estimators)
    if missing:
        notes.append(f"No {' and no '.join(missing)} control: {_what_gives(missing)}")
    if unused := [name for name in maps if settings.controls.get(name, 0) == 0]:
        notes.append(f"The {' and the '.join(unused)} map had no effect: its weight is 0 or the model lacks it.")
    usable = {name: weight for name, weight in settings.controls.items() if name not in missing}
    return {name: weight for name, weight in normalise_weights(usable).items() if weight > 0}


def _missing(
    settings: EnhanceSettings, maps: Mapping[str, Tensor], buffers: Buffers | None, estimators: Estimators
) -> list[str]:
    """Controls that are asked for and cannot be made."""
    can_be_made = {*maps, *available_controls(buffers, estimators)}
    return [name for name, weight in settings.controls.items() if weight > 0 and name not in can_be_made]


def _estimated(
    weights: Mapping[str, float],
    maps: Mapping[str, Tensor],
    buffers: Buffers | None,
    estimators: Estimators,
    notes: list[str],
) -> dict[str, str]:
    """Which maps models make, by what; said in the notes too."""
    known = {*maps, *available_controls(buffers, Estimators())}
    by = {name: estimators.names.get(name, "a model") for name in weights if name not in known}
    notes.extend(f"The {name} map was estimated from the frames by {model}." for name, model in by.items())
    return by


def _what_gives(missing: list[str]) -> str:
    """What is held less without these controls, and how to come by them, in one sentence."""
    estimated = [name for name in missing if name in _ESTIMATED]
    if not estimated:
        return "the clip came without such maps."
    held = " and ".join(_ESTIMATED[name] for name in estimated)
    models = " and ".join(f"a {name} model (--{name}-model, {name}_model)" for name in estimated)
    return (
        f"edges hold the picture, but {held} may change; give a map, or a simulator's buffers (NAME_buffers beside the "
        f"clip), or {models}: see docs/models.md."
    )


def _depth_limits(
    buffers: Buffers | None,
    estimators: Estimators,
    read: Callable[[], Iterable[Tensor]] | None,
    work_size: tuple[int, int],
    convention: str,
) -> DisparityLimits:
    """The disparity range of the whole clip: from its buffers, or by the depth model in a first pass over it."""
    if buffers is not None and "depth" in buffers.channels:
        return clip_disparity_limits(buffers, convention)
    if read is None:
        raise UserError(
            "Depth is estimated from the clip's frames, whose scale takes a first pass over all of them, but no way to "
            "read them came; give read, or a depth map, or set the depth control's weight to 0."
        )
    small = (resize(as_floats(frame)[None], work_size)[0] for frame in read())
    return estimated_limits(estimators.depth, small, map_convention(convention).depth)


def _embedded(model: VideoModel, settings: EnhanceSettings) -> dict[str, Tensor]:
    """Branch -> text embedding (1, L, D)."""
    prompts = {
        "positive": settings.prompt,
        "negative": settings.negative_prompt,
        "inversion": settings.inversion_prompt,
    }
    embeddings = model.encode_text(list(prompts.values()))
    texts = {branch: embeddings[i : i + 1] for i, branch in enumerate(prompts)}
    if settings.simdrop:
        # What it moves away from: the words for the source, or the wished-for words as the reference LoRA takes them.
        texts[REFERENCE] = texts["positive" if model.reference else "inversion"]
    if settings.video_scale is not None:
        texts[UNCOND] = model.encode_text([""])
    return texts


def _simdrop_cost(model: VideoModel, settings: EnhanceSettings) -> str:
    """What SimDrop's reference costs, in one sentence."""
    levels = job_sigmas(settings, model.preset, VE)[:-1]
    low, high = settings.simdrop_range or (0.0, math.inf)
    steps = int(((levels >= low) & (levels <= high)).sum())
    how = f"the model with {model.reference} on, in a pass of its own" if model.reference else "the inversion prompt"
    return f"SimDrop's reference is {how}: one condition more at {steps} of {len(levels)} steps."
