"""The whole job on the model that comes with the pack: step by step, in one node, on a video file."""

from __future__ import annotations

from graphs.canvas import Canvas
from graphs.parts import (
    MAPS,
    WINDOW,
    both_passes,
    compared,
    control_stacks,
    demo_conditions,
    demo_drive,
    demo_result,
    file_clip,
    file_result,
    note,
    prompts,
    saved_video,
    structure_maps,
    taken,
    video_model,
)


def realism_demo(canvas: Canvas) -> None:
    note(canvas, "realism_demo", (420, 540))
    source, twin, model, conditions = demo_conditions(canvas)
    canvas.group("Inversion", 300)
    enhanced = both_passes(canvas, model["model"], model["vae"], conditions, source["frames"])
    canvas.group("Result", 640)
    demo_result(canvas, "realism_demo", source, enhanced, twin)


def enhance_one_node(canvas: Canvas) -> None:
    note(canvas, "enhance_one_node", (400, 400))
    canvas.group("Clip", 300)
    source = demo_drive(canvas, "Demo Drive", WINDOW)
    canvas.group("Enhance", 380)
    wires = {name: source[name] for name in ("frames", *MAPS, "description")}
    enhanced = canvas.node("VideoRealismEnhanceRealism", "Enhance Realism", report=8, **wires)
    canvas.group("Result", 640)
    clips = {"source": source["frames"], "enhanced": enhanced["frames"]}
    compare = compared(canvas, "enhance_one_node", clips, sheet=300)
    canvas.column(430)
    saved_video(canvas, compare["side by side"], source["fps"], "enhance_one_node")


def realism_video_file(canvas: Canvas) -> None:
    note(canvas, "realism_video_file", (420, 540))
    _, parts, frames = file_clip(canvas, crop="disabled")  # nothing is cut off, so the detail of all of it fits
    full = taken(canvas, parts["images"], WINDOW, f"Take {WINDOW} frames at full size")
    maps = structure_maps(canvas, frames, "embedded")
    model, branches = video_model(canvas)
    conditions = prompts(canvas, model, None, below="Model")
    canvas.group("Control", 310)
    conditions = control_stacks(canvas, conditions, branches, maps)
    canvas.group("Inversion", 300)
    enhanced = both_passes(canvas, model["model"], model["vae"], conditions, frames)
    detailed = canvas.node("VideoRealismDetailTransfer", "Detail Transfer", report=1, source=full, result=enhanced)
    clips = {"source": full, "enhanced": detailed, "edges": maps["edge"]}
    file_result(canvas, "realism_video_file", parts, clips, critic=True)


GRAPHS = (realism_demo, enhance_one_node, realism_video_file)
