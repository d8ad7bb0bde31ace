"""Only measuring and looking: two clips in, a report out; and the maps that models find."""

from __future__ import annotations

from graphs.canvas import NOTE, Canvas, Node
from graphs.parts import EXAMPLE, compared, file_clip, note, saved_video, structure_maps


def measure_only(canvas: Canvas) -> None:
    note(canvas, "measure_only", (600, 440))
    clips = _two_clips(canvas)
    before, after = (clip["images"] for clip in clips)
    canvas.group("Report", 400)
    wires = {"source": before, "output": after, "name": "after", "filename_prefix": "metrics/report"}
    report = canvas.node("VideoRealismReport", "Realism Report", report=16, tall=1120, **wires)
    canvas.group("Pictures", 680)
    canvas.node("PreviewImage", "Plots", tall=560, images=report["plots"])
    canvas.node("PreviewImage", "Worst frames", tall=300, images=report["worst frames"])
    canvas.column(380)
    compare = compared(canvas, "measure_only", {"before": before, "after": after})
    saved_video(canvas, compare["side by side"], clips[0]["fps"], "measure_only")


def objects_kept(canvas: Canvas) -> None:
    note(canvas, "objects_kept", (600, 360))
    before, after = (clip["images"] for clip in _two_clips(canvas))
    canvas.group("Where the objects are", 320)
    masks = {}
    for name, classes in (("lights", "traffic lights"), ("vehicles", "cars and trucks and buses")):
        if masks:
            canvas.column(320)
        recording = {"frames": before, "folder": f"{EXAMPLE}_buffers", "mask_classes": classes, "class_weights": ""}
        buffers = canvas.node("VideoRealismSimulatorBuffers", f"Simulator Buffers: {name}", report=11, **recording)
        masks[name] = buffers["mask"]
    canvas.group("Objects", 430)
    canvas.node("VideoRealismObjectAlignment", "Object Alignment", report=16, source=before, output=after, **masks)
    canvas.group("Pictures", 400)
    compared(canvas, "objects_kept", {"before": before, "after": after})


def maps_from_models(canvas: Canvas) -> None:
    note(canvas, "maps_from_models", (350, 680))
    _, _, frames = file_clip(canvas)
    canvas.group("Maps", 340)
    detector = {"frames": frames, "detector": "lineart_standard"}
    maps = {
        "lines": canvas.node("VideoRealismControlDetector", "Control Detector", report=1, **detector),
        "objects": canvas.node("VideoRealismTrackObjects", "Track Objects", report=13, frames=frames),
        "edges": structure_maps(canvas, frames, "embedded")["edge"],
    }
    canvas.group("What they show", 500)
    compared(canvas, "maps_from_models", maps)


def _two_clips(canvas: Canvas) -> list[Node]:
    """The group "Clips" under the note: the pack's example and what became of it, each with its frames and rate."""
    canvas.group("Clips", 260, below=NOTE)
    clips = []
    for title, file in (("before", EXAMPLE), ("after", f"{EXAMPLE}_enhanced")):
        if clips:
            canvas.column(260)
        video = canvas.node("VideoRealismLoadClip", f"Load Clip: {title}", report=3, file=file)
        clips.append(canvas.node("GetVideoComponents", f"Components: {title}", tall=110, video=video))
    return clips


GRAPHS = (measure_only, objects_kept, maps_from_models)
