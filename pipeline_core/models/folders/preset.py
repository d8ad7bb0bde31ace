"""The settings a model folder brings along: window, grid, prompts, strength, control weights."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Preset:
    """Defaults of one model; everything a job leaves out comes from here.

    window: pixel frames of one pass. size: (height, width) in pixels the model was trained at.
    temporal_ratio, spatial_ratio: pixel frames and pixels per latent cell. max_text_tokens: prompt length.
    prediction: what the network answers, "flow" or "edm" (see prediction.py).
    interpolant: "ve" or "flow", the state the sampler steps; sigma_min, sigma_max, rho: the Karras grid in VE
    units (a flow sampler gets the same levels as sigma / (1 + sigma)).
    control_weights: modality -> weight before the w / max(1, sum w) rule.
    maps: how its control maps were made in training, a row of conditions.conventions.CONVENTIONS.
    control_guidance: what the sum of the control weights is multiplied by where a network takes maps whole (Cosmos 3).
    given_time: flow time at which the network is shown frames that are given, None: it takes none.
    video_scale: of a model that edits by instruction, how strongly it follows the clip (InsV2V's s_V; s_T is cfg).
    """

    name: str = "embedded"
    window: int = 17
    overlap: int = 5
    size: tuple[int, int] = (96, 160)
    temporal_ratio: int = 4
    spatial_ratio: int = 8
    max_text_tokens: int = 64
    prediction: str = "flow"
    interpolant: str = "ve"
    sigma_min: float = 0.02
    sigma_max: float = 80.0
    rho: float = 7.0
    steps: int = 20
    start: str = "inversion"
    strength: float = 1.0
    cfg: float = 1.0
    prompt: str = "a photorealistic dashcam video, on a clear sunny day"
    negative_prompt: str = ""
    inversion_prompt: str = "a synthetic driving simulator render, flat shading"
    control_weights: dict[str, float] = field(default_factory=lambda: {"edge": 1.0, "depth": 1.0, "segmentation": 1.0})
    maps: str = "embedded"
    control_guidance: float = 1.0
    given_time: float | None = None
    video_scale: float | None = None
