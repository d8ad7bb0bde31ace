"""The whole job on the model that comes with the pack: step by step, in one node, on a video file."""

from __future__ import annotations

from graphs.canvas import NOTE, Canvas
from graphs.parts import (
    MAPS,
    WIDE,
    WINDOW,
    Unmapped,
    both_passes,
    compared,
    conditioned,
    demo_conditions,
    demo_drive,
    demo_result,
    file_clip,
    file_result,
    note,
    saved_video,
    taken,
)


def realism_demo(canvas: Canvas) -> None:
    note(canvas, "realism_demo", (WIDE, 460))
    source, twin, model, conditions = demo_conditions(canvas)
    enhanced = both_passes(canvas, model["model"], model["vae"], conditions, source["frames"])
    demo_result(canvas, "realism_demo", source, enhanced, twin)


def enhance_one_node(canvas: Canvas) -> None:
    note(canvas, "enhance_one_node", (400, 380))
    canvas.group("Clip", 360, below=NOTE)
    source = demo_drive(canvas, "Demo Drive", WINDOW)
    canvas.group("Enhance", 380)
    wires = {name: source[name] for name in ("frames", *MAPS, "description")}
    enhanced = canvas.node("VideoRealismEnhanceRealism", "Enhance Realism", report=8, **wires)
    canvas.group("Result", 360)
    clips = {"source": source["frames"], "enhanced": enhanced["frames"]}
    compare = compared(canvas, "enhance_one_node", clips)
    canvas.column(360)
    saved_video(canvas, compare["side by side"], source["fps"], "enhance_one_node")


def realism_video_file(canvas: Canvas) -> None:
    note(canvas, "realism_video_file", (350, 660))
    _, parts, frames = file_clip(canvas, crop="disabled")  # nothing is cut off, so the detail of all of it fits
    model, conditions, edges = conditioned(canvas, Unmapped(frames, "embedded"))
    enhanced = both_passes(canvas, model["model"], model["vae"], conditions, frames)
    full = taken(canvas, parts["images"], WINDOW, f"Take {WINDOW} frames at full size")
    detailed = canvas.node("VideoRealismDetailTransfer", "Detail Transfer", report=1, source=full, result=enhanced)
    clips = {"source": full, "enhanced": detailed, "edges": edges}
    file_result(canvas, "realism_video_file", parts, clips, critic=True)


GRAPHS = (realism_demo, enhance_one_node, realism_video_file)
