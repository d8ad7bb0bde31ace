"""The workflow that only measures: two clips in, a report out."""

from __future__ import annotations

from workflow_canvas import Canvas
from workflow_parts import compared

BEFORE, AFTER = "before.mp4", "after.mp4"


def measure_only(canvas: Canvas) -> None:
    canvas.note(
        f"""# Measure two clips

Nothing is enhanced here: one clip before, one after, and all that can be said about the difference. The after clip \
may come from anywhere.

**First** choose the two clips, `{BEFORE}` and `{AFTER}`. They need as many frames of the same size; else put \
*Upscale Image* or *ImageFromBatch* behind the one that does not fit.

**Realism Report** writes a folder `metrics/report_00001_` into ComfyUI's output: the table, plots over the frames, \
the worst frames with heat maps, two pictures for a before-and-after slider, JSON and CSV.

**More figures**
- *Load CLIP Vision* to **clip_vision**: steadiness from frame to frame; with a folder of real footage on \
**real_frames**, the distance to it.
- *Simulator Buffers* to **lights**, **signs**, **vehicles**, **people**: objects and their colours one by one.
- *estimate_flow*: flicker and warped error, seconds a frame on large clips (needs scikit-image).
- **runs** of one report to **earlier_runs** of another: several outputs beside each other.
- models in `models/metrics`: CLIP-IQA, PickScore, FVD, LPIPS, a judge. The node's help page (*i*) names them.

What was not measured is in **report** with what it needs; it is never 0.

**Time** about a third of a second a frame at 1080p on one CPU core, most of it edges and colours.""",
        (420, 560),
    )
    canvas.group("Clips", 300)
    clips = []
    for title, file in (("before", BEFORE), ("after", AFTER)):
        video = canvas.node("LoadVideo", f"Load Video: {title}", tall=250, file=file)
        clips.append(canvas.node("GetVideoComponents", f"Components: {title}", tall=110, video=video))
    before, after = (clip["images"] for clip in clips)
    canvas.group("Report", 430)
    report = canvas.node(
        "VideoRealismReport",
        "Realism Report",
        tall=1120,
        source=before,
        output=after,
        name="after",
        filename_prefix="metrics/report",
    )
    canvas.group("Pictures", 1000)
    canvas.node("PreviewImage", "Plots", tall=560, images=report["plots"])
    canvas.node("PreviewImage", "Worst frames", tall=300, images=report["worst frames"])
    canvas.column(430)
    shown = compared(canvas, "measure_only", {"before": before, "after": after})
    video = canvas.node("CreateVideo", "Create Video", tall=110, images=shown["side by side"], fps=clips[0]["fps"])
    canvas.node("SaveVideo", "Save Video", tall=300, video=video, filename_prefix="video/measure_only")
