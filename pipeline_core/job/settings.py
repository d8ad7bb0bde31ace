"""What a job can be told, and how what is left out is filled in from the model's preset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from ..errors import UserError
from ..models.folders.preset import Preset
from ..perception.flow import flow_can_be_estimated
from .table import SETTINGS

# What may be None in a job that runs: it has no default, and None is off or everywhere.
MAY_STAY_OPEN = ("guidance_reach", "cfg_range", "simdrop_range", "inversion_steps", "video_scale")


@dataclass(frozen=True)
class EnhanceSettings:
    """Settings of `enhance`; None means: from the model's preset.

    prompt, negative_prompt, inversion_prompt: text; the inversion prompt describes the source as it is.
    start: "inversion" (structured noise from the source), "calibration" (random noise calibrated against it),
    "sdedit" (the source under random noise), "noise" (random noise only), "flowedit" or "flowalign" (the source under
    random noise, changed by what its own prompt and the result's differ in: see diffusion/inversion_free.py).
    strength: share of noise in the start, in (0, 1], flow scale; 1 is the whole grid.
    cfg: standard guidance scale, 1 is off. steps: model steps of one pass, 1 to 1000.
    controls: {"edge" | "depth" | "segmentation": weight >= 0}. method: how to invert (see diffusion.invert).
    solver: for starts without inversion. seed: of the random noise.
    calibration_prompt: whose prediction calibration holds to the source: "positive" (as published; pins the source's
    colours too) or "inversion" (layout without look). guidance_reach: how far guidance may carry a prediction beyond
    what the prompt itself changes, as a share of that way (see diffusion.ConflictDamping); None is as far as cfg does.
    noise_blend: share of fresh noise in the inverted one, in [0, 1]; 0 keeps all it carries.
    handover: what a window gets from the one before: "none" (their frames are crossfaded), "mean" or "motion" (its
    result and noise on shared frames too, the difference spread over the others: see longvideo/handover.py) or "fused"
    (all windows predict one long latent at every step: see longvideo/fused.py).
    handover_share: of the steps, from the first, in which a window is held to the one before. The paper's half leaves
    the shared frames free to part again; all steps gave a third of its change at hard cuts, as near to the twin.
    anchor: how much of what a window takes over is faded out by its end, so that it is not handed on, in [0, 1]: with
    all of it a 40-second run stays as near to the twin as it began, 2.5 dB nearer than with none.
    anchor_colours: hold every window's mean colour as far from the source's as the first window's is. It stops a drift
    of brightness, and costs up to 0.2 dB where a style's colours depend on what is in view; not for fused windows.
    stitch: how frames that two windows share become one: "crossfade", or "flow", which aligns the two first (5 % less
    change along the motion and 0.04 dB on those frames, for two estimates of flow each).
    detail: how much of the source's own detail the result gets where the model only changed its colours (see
    video/detail.py): 0 shows the model's pixels, enlarged to the clip's size. No part in clips of the model's own size.
    refine: strength of a second pass at the clip's own size, in tiles of the model's size (see refine.py); 0 is off.
    refine_start: its noise, "calibration" or "inversion" as for start, of the delivered frames.
    cfg_range: (lowest, highest) sigma, VE units, between which guidance acts; None is everywhere. inversion_steps: of
    the inversion alone, some of the levels of the other pass; None is all of them, and the exact way back. cache:
    threshold of the first-block cache of the sampling pass (see models/networks/step_cache.py), 0 is off.
    simdrop: weight of the push away from a reference that looks simulated (see diffusion.SimDrop), 0 is off; the
    reference is the inversion prompt, or the model with its reference LoRA on (see VideoModel). simdrop_range: (lowest,
    highest) sigma, VE units, of it; None is everywhere. simdrop_rescale: share of a step's contrast that it is held to.
    simdrop_low: share of spatial frequencies, from the lowest, that the push leaves alone.
    hold_signs: how strongly traffic signs are held to the source's latent at coarse noise, in [0, 1], where buffers or
    a segmentation model say that they are (see diffusion/hold.py); 0 is off. Lights keep their colours without it.
    video_scale: of a model that edits by instruction (the prompt), how strongly it follows the clip, cfg being how
    strongly it follows the words (see diffusion.VideoText); None for all other models.
    """

    prompt: str | None = None
    negative_prompt: str | None = None
    inversion_prompt: str | None = None
    start: str | None = None
    strength: float | None = None
    cfg: float | None = None
    steps: int | None = None
    controls: dict[str, float] | None = None
    method: str = "exact"
    solver: str = "dpmpp_2m"
    calibration_rounds: int = 1
    calibration_nu: float = 0.5
    seed: int = 0
    handover: str = "none"
    handover_share: float = 1.0
    anchor: float = 1.0
    anchor_colours: bool = False
    stitch: str = "crossfade"
    detail: float = 0.9
    refine: float = 0.0
    refine_start: str = "calibration"
    calibration_prompt: str = "positive"
    guidance_reach: float | None = None
    noise_blend: float = 0.0
    cfg_range: tuple[float, float] | None = None
    inversion_steps: int | None = None
    cache: float = 0.0
    simdrop: float = 0.0
    simdrop_range: tuple[float, float] | None = None
    simdrop_rescale: float = 1.0
    simdrop_low: float = 0.25
    hold_signs: float = 0.0
    video_scale: float | None = None

    def to_dict(self) -> dict:
        """Plain values for a report."""
        return asdict(self)


def edit_settings(instruction: str, preset: Preset, values: Mapping[str, object]) -> EnhanceSettings:
    """An edit by instruction, with a model that edits, of this preset; `values` are further settings, by name.

    From fresh noise the windows of a long clip go on from one another, as InsV2V's do (LVSC), along its motion where
    that can be estimated; from the clip's own noise they agree by themselves (benchmarks/edits_long.py), and are
    crossfaded. UserError for an empty instruction.
    """
    if not instruction.strip():
        raise UserError('The instruction is empty: say what to change, such as "make it night".')
    handover = "none"
    if (values.get("start") or preset.start) != "inversion":
        handover = "motion" if flow_can_be_estimated() else "mean"
    return EnhanceSettings(**{"handover": handover, **values, "prompt": instruction.strip()})


def resolve(settings: EnhanceSettings, preset: Preset, description: str = "") -> EnhanceSettings:
    """Fill what is None from the preset, append the clip's own description to preset prompts, check ranges.

    Raises UserError for a value out of range.
    """

    def with_scene(text: str) -> str:
        # What a clip shows is no part of an instruction.
        return f"{text}, {description}" if description and preset.video_scale is None else text

    filled = replace(
        settings,
        prompt=with_scene(preset.prompt) if settings.prompt is None else settings.prompt,
        negative_prompt=preset.negative_prompt if settings.negative_prompt is None else settings.negative_prompt,
        inversion_prompt=with_scene(preset.inversion_prompt)
        if settings.inversion_prompt is None
        else settings.inversion_prompt,
        start=settings.start or preset.start,
        strength=preset.strength if settings.strength is None else settings.strength,
        cfg=preset.cfg if settings.cfg is None else settings.cfg,
        steps=preset.steps if settings.steps is None else settings.steps,
        controls=dict(preset.control_weights) if settings.controls is None else dict(settings.controls),
        video_scale=preset.video_scale if settings.video_scale is None else settings.video_scale,
    )
    _check(filled, preset)
    return filled


def _check(settings: EnhanceSettings, preset: Preset) -> None:
    for name, setting in SETTINGS.items():
        value = getattr(settings, name)
        if value is not None or name not in MAY_STAY_OPEN:
            setting.check(name, value)
    unknown = sorted(set(settings.controls) - set(preset.control_weights))
    if unknown:
        known = ", ".join(preset.control_weights)
        raise UserError(f"This model has no control {unknown[0]!r}, only {known}: change controls.")
