"""Only measuring: two clips in, a report out."""

from __future__ import annotations

from graphs.canvas import Canvas
from graphs.parts import compared, note, saved_video


def measure_only(canvas: Canvas) -> None:
    note(canvas, "measure_only", (420, 560))
    canvas.group("Clips", 300)
    clips = []
    for title in ("before", "after"):
        video = canvas.node("LoadVideo", f"Load Video: {title}", tall=250, file=f"{title}.mp4")
        clips.append(canvas.node("GetVideoComponents", f"Components: {title}", tall=110, video=video))
    before, after = (clip["images"] for clip in clips)
    canvas.group("Report", 430)
    wires = {"source": before, "output": after, "name": "after", "filename_prefix": "metrics/report"}
    report = canvas.node("VideoRealismReport", "Realism Report", report=16, tall=1120, **wires)
    canvas.group("Pictures", 1000)
    canvas.node("PreviewImage", "Plots", tall=560, images=report["plots"])
    canvas.node("PreviewImage", "Worst frames", tall=300, images=report["worst frames"])
    canvas.column(430)
    compare = compared(canvas, "measure_only", {"before": before, "after": after})
    saved_video(canvas, compare["side by side"], clips[0]["fps"], "measure_only")


GRAPHS = (measure_only,)
