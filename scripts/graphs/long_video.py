"""Clips longer than the model's window: in chunks, in one sampler, by the model itself, from file to file."""

from __future__ import annotations

from graphs.canvas import Canvas
from graphs.parts import (
    EXAMPLE,
    MAPS,
    PRESET,
    WIDE,
    WINDOW,
    both_passes,
    compared,
    conditioned,
    decode,
    demo_clip,
    demo_conditions,
    demo_result,
    encode,
    guider,
    note,
    preset_levels,
)

LENGTH = 3 * WINDOW - 2  # four windows
CUT = {"window": WINDOW, "overlap": PRESET["overlap"], "temporal_ratio": PRESET["temporal_ratio"]}


def long_clip(canvas: Canvas) -> None:
    note(canvas, "long_clip", (WIDE, 360))
    source, twin = demo_clip(canvas, LENGTH)
    canvas.group("Chunks", 280)
    wires = {name: source[name] for name in ("frames", *MAPS)}
    chunks = canvas.node("VideoRealismChunkPlan", "Chunk Plan", report=5, **wires, **CUT)
    model, conditions, _ = conditioned(canvas, chunks, source["description"])
    decoded = both_passes(canvas, model["model"], model["vae"], conditions, chunks["frames"], report=16)
    wires = {"chunks": decoded, "plan": chunks["plan"]}
    enhanced = canvas.node("VideoRealismChunkStitcher", "Chunk Stitcher", report=1, **wires)
    demo_result(canvas, "long_clip", source, enhanced, twin)


def long_video_sampler(canvas: Canvas) -> None:
    note(canvas, "long_video_sampler", (WIDE, 440), length=LENGTH)
    source, twin, model, conditions = demo_conditions(canvas, LENGTH)
    latent = encode(canvas, source["frames"], model["vae"])
    levels = preset_levels(canvas)
    inversion = conditions.pop("inversion")
    guide = guider(canvas, model["model"], conditions)
    wires = {"guider": guide, "latent": latent, "sigmas": levels, "inversion": inversion}
    canvas.group("Sampling", 320)
    result = canvas.node("VideoRealismLongVideoSampler", "Long Video Sampler", tall=690, **wires, **CUT)
    enhanced = decode(canvas, result["latent"], model["vae"])
    demo_result(canvas, "long_video_sampler", source, enhanced, twin)


def windowed_model(canvas: Canvas) -> None:
    note(canvas, "windowed_model", (WIDE, 400), length=LENGTH)
    source, twin, model, conditions = demo_conditions(canvas, LENGTH)
    any_length = canvas.node("VideoRealismWindowedModel", "Windowed Model", model=model["model"], **CUT)
    enhanced = both_passes(canvas, any_length, model["vae"], conditions, source["frames"])
    demo_result(canvas, "windowed_model", source, enhanced, twin)


def enhance_video_file(canvas: Canvas) -> None:
    note(canvas, "enhance_video_file", (350, 520))
    canvas.group("Enhance", 520)
    enhance = canvas.node("VideoRealismEnhanceVideoFile", "Enhance Video File", report=10, tall=880, video=EXAMPLE)
    canvas.group("A look at it", 520)
    compared(canvas, "enhance_video_file", {"source": enhance["source"], "enhanced": enhance["enhanced"]})


GRAPHS = (long_clip, long_video_sampler, windowed_model, enhance_video_file)
