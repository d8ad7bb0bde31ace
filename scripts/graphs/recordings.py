"""Simulators' recordings: one with its buffers in, enhanced video and report out; a folder of them into a data set."""

from __future__ import annotations

from graphs.canvas import Canvas
from graphs.parts import (
    EXAMPLE,
    PRESET,
    both_passes,
    encoded,
    file_clip,
    file_result,
    mapped,
    note,
    video_model,
)

DRIVES = "example: drives"
# The preset's weights as they are used: of a sum of 1, so that what the classes take off them is not divided away.
TOTAL = sum(PRESET["control_weights"].values())
WEIGHTS = {name: round(weight / TOTAL, 2) for name, weight in PRESET["control_weights"].items()}


def carla_buffers(canvas: Canvas) -> None:
    note(canvas, "carla_buffers", (350, 1040))
    video, parts, frames = file_clip(canvas)
    model = video_model(canvas)
    canvas.group("Recording", 330)
    buffers = canvas.node(
        "VideoRealismSimulatorBuffers",
        "Simulator Buffers",
        report=11,
        frames=frames,
        video=video,
        folder=f"{EXAMPLE}_buffers",
        mask_classes="signs",
        class_weights="signs and lights at 1, sky at 0.2, rest at 0.8",
        crop=True,
        made_for="embedded",
    )
    canvas.node("MaskPreview", "Preview: weights", tall=250, mask=buffers["weights"])
    canvas.group("Prompts, maps, sampling", 330)
    wires = {"frames": frames, "description": buffers["description"]}
    about = "Writes the prompts from the recording's description or from what a model sees, and encodes them."
    with canvas.subgraph("Prompts", about, 330, clip=model["clip"], **wires) as box:
        caption = canvas.node("VideoRealismCaptionVideo", "Caption Video", report=12, **wires)
        canvas.column(300)
        texts = {name: caption[name] for name in ("inversion", "positive", "negative")}
        box.gives.update(encoded(canvas, model["clip"], texts, tall=110))
        box.shows["look"] = (caption, "look")
    conditions, _ = mapped(canvas, dict(box.gives), buffers, weights=WEIGHTS, weight_mask=buffers["weights"])
    enhanced = both_passes(canvas, model["model"], model["vae"], conditions, frames, mask=buffers["mask"])
    clips = {"source": frames, "enhanced": enhanced, "classes": buffers["segmentation"]}
    file_result(canvas, "carla_buffers", parts, clips, critic=True)


def dataset_folder(canvas: Canvas) -> None:
    note(canvas, "dataset_folder", (350, 780))
    canvas.group("Clip", 280)
    piece = canvas.node("VideoRealismBatchFolder", "Batch Folder", report=2, folder=DRIVES)
    parts = canvas.node("GetVideoComponents", "Get Video Components", tall=110, video=piece["video"])
    canvas.group("Maps", 330)
    pictures = {name: piece[name] for name in ("depth_pictures", "tag_pictures", "instance_pictures")}
    maps = canvas.node(
        "VideoRealismSimulatorBuffers",
        "Simulator Buffers",
        report=5,
        frames=piece["frames"],
        made_for="embedded",
        class_weights="",
        **pictures,
    )
    canvas.group("Enhance", 360)
    wires = {name: maps[name] for name in ("edge", "depth", "segmentation")}
    wires |= {"frames": piece["frames"], "description": piece["description"]}
    enhanced = canvas.node("VideoRealismEnhanceRealism", "Enhance Realism", report=8, **wires)
    clips = {"source": piece["frames"], "enhanced": enhanced["frames"], "classes": maps["segmentation"]}
    metrics = file_result(canvas, "dataset_folder", parts, clips)
    wires = {"images": enhanced["frames"], "clip": piece["clip"], "figures": metrics["report"]}
    canvas.node("VideoRealismSaveToDataset", "Save To Dataset", report=2, **wires)


GRAPHS = (carla_buffers, dataset_folder)
