"""What the graphs of full-size models share: a clip from a file, its maps, the controls, both passes, the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from graphs.canvas import Canvas, Node, Output
from graphs.parts import Unmapped, both_passes, file_clip, file_result, mapped, note, prompts

TEXTS = {
    "inversion": "a driving simulator, computer graphics, flat shading, a city street",
    "positive": "a photorealistic dashcam video of a city street on a clear sunny day, natural light, fine detail",
    "negative": "computer graphics, video game, cartoon, flat shading, oversaturated, blurry",
}


@dataclass
class Clip:
    """A video file: its parts (rate, sound), its first frames in the model's size, and for whom maps are to be made."""

    parts: Node
    frames: Node
    maps: Unmapped


def begin(
    canvas: Canvas,
    name: str,
    size: tuple[int, int],
    frames: int,
    height: int,
    width: int,
    made_for: str,
    **numbers: int,
) -> Clip:
    """The note, of this size on the canvas, and the group "Clip"; then opens the group "Model".

    frames: taken from the file. numbers: what else the note asks for.
    """
    note(canvas, name, size, **{"window": frames, "height": height, "width": width, **numbers})
    _, parts, taken = file_clip(canvas, frames, height, width)
    clip = Clip(parts, taken, Unmapped(taken, made_for))
    canvas.group("Model", 320)
    return clip


def prompted(canvas: Canvas, clip: Node | Output, texts: dict[str, str] = TEXTS) -> dict[str, Output]:
    """Opens the group "Prompts, maps, sampling"; the conditions."""
    canvas.group("Prompts, maps, sampling", 320)
    return prompts(canvas, clip, texts)


def model_preset(model: Node) -> Callable[[Canvas], Output]:
    """The noise levels that a family was released with."""
    return lambda canvas: canvas.node("VideoRealismModelPreset", "Model Preset", report=6, model=model)["sigmas"]


def own_control(canvas: Canvas, model: Node, maps: tuple[str, ...]) -> dict[str, Node]:
    """The model's own control input in the place of a ControlNet for each map."""
    return dict.fromkeys(maps, canvas.node("VideoRealismModelControl", "Model Control", report=3, model=model))


def finish(
    canvas: Canvas,
    name: str,
    clip: Clip,
    model: Node | Output,
    vae: Node | Output,
    conditions: dict[str, Output],
    networks: dict[str, Node],
    weights: dict[str, float],
    levels: Callable[[Canvas], Node | Output],
    cfg: float,
    maps_in_latents: bool = False,
) -> None:
    """Controls, inversion, sampling and result.

    maps_in_latents: the control reads its map as the VAE encodes it.
    """
    wires = {"vae": vae} if maps_in_latents else {}
    conditions, edges = mapped(canvas, conditions, clip.maps, networks, weights, **wires)
    enhanced = both_passes(canvas, model, vae, conditions, clip.frames, levels, cfg)
    clips = {"source": clip.frames, "enhanced": enhanced, "edges": edges}
    file_result(canvas, name, clip.parts, clips)
