"""Edits by instruction: in one node, and with the guider between its three terms."""

from __future__ import annotations

from graphs.canvas import NOTE, Canvas, Output
from graphs.parts import (
    WIDE,
    WINDOW,
    compared,
    decode,
    demo_clip,
    demo_drive,
    demo_result,
    encode,
    encoded,
    inverted,
    note,
    preset_levels,
    sample,
    saved_video,
)

MODEL = "embedded_edit"
SCALES = {"video_scale": 1.0, "text_scale": 1.5}


def edit_video(canvas: Canvas) -> None:
    note(canvas, "edit_video", (400, 460))
    canvas.group("Clip", 360, below=NOTE)
    source = demo_drive(canvas, "Demo Drive", WINDOW)
    canvas.group("Edit", 380)
    wires = {"frames": source["frames"], "instruction": "make it photorealistic and make it night"}
    edited = canvas.node("VideoRealismEditVideo", "Edit Video", report=8, model=MODEL, **SCALES, **wires)
    canvas.group("Result", 360)
    compare = compared(canvas, "edit_video", {"source": source["frames"], "edited": edited["frames"]})
    canvas.column(360)
    saved_video(canvas, compare["side by side"], source["fps"], "edit_video")


def edit_guided(canvas: Canvas) -> None:
    note(canvas, "edit_guided", (WIDE, 400))
    source, twin = demo_clip(canvas)
    canvas.group("Model, instruction", 270)
    model = canvas.node("VideoRealismLoadVideoModel", "Load Video Model", report=8, model=MODEL)
    texts = {"instruction": "make it look real", "empty": ""}
    conditions = encoded(canvas, Output(model, 1), texts)
    canvas.group("Edit", 270)
    clip = {"positive": conditions["instruction"], "negative": conditions["empty"], "pixels": source["frames"]}
    shown = canvas.node("InstructPixToPixConditioning", "Clip and prompts", vae=model["vae"], **clip)
    branches = {"video_text": shown["positive"], "video": shown["negative"], "uncond": conditions["empty"]}
    guide = canvas.node("VideoRealismVideoTextGuider", "Video+Text Guider", model=model["model"], **branches, **SCALES)
    latent, levels = encode(canvas, source["frames"], model["vae"]), preset_levels(canvas)
    canvas.column(270)
    own = inverted(canvas, model["model"], {"inversion": shown["negative"]}, latent, levels)
    result = sample(canvas, own["noise"], guide, own["sampler"], own["sigmas"], latent)
    demo_result(canvas, "edit_guided", source, decode(canvas, result, model["vae"]), twin)


GRAPHS = (edit_video, edit_guided)
