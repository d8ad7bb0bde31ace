"""The parts that the shipped graphs share: notes, clips, the model, prompts, controls, the passes, the results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from graphs.canvas import Canvas, Node, Output

NOTES = Path(__file__).parent / "notes"
PRESET = json.loads((Path(__file__).parents[2] / "models/embedded/preset.json").read_text(encoding="utf-8"))
HEIGHT, WIDTH = PRESET["size"]
WINDOW = PRESET["window"]
# For noise put over the clip: below 0.6 the embedded model changes little, and cfg pushes it towards the prompt.
PARTIAL = {"denoise": 0.6, "cfg": 2.0}
CALIBRATION = {"rounds": 1, "nu": 1.0, "low": 0.2}
EXAMPLE = "example: drive"
MAPS = ("edge", "depth", "segmentation")


def note(canvas: Canvas, name: str, size: tuple[int, int], **numbers: int) -> None:
    """notes/NAME.md in the upper left corner, `numbers` filled in; by default those of the embedded model."""
    text = (NOTES / f"{name}.md").read_text(encoding="utf-8").removesuffix("\n")
    canvas.note(text.format(**{"window": WINDOW, "height": HEIGHT, "width": WIDTH, **numbers}), size)


# -- clips -----------------------------------------------------------------------------------------------------------


def demo_drive(canvas: Canvas, title: str, frames: int, style: str = "synthetic") -> Node:
    size = {"width": WIDTH, "height": HEIGHT}
    return canvas.node("VideoRealismDemoDrive", title, report=3, frames=frames, style=style, **size)


def demo_clip(canvas: Canvas, frames: int = WINDOW) -> tuple[Node, Node]:
    """The group "Clip": a drive as a simulator renders it, and as a camera would have seen it."""
    canvas.group("Clip", 300)
    source = demo_drive(canvas, "Demo Drive: source", frames)
    return source, demo_drive(canvas, "Demo Drive: photoreal twin", frames, "photoreal.day")


def file_clip(
    canvas: Canvas,
    length: int = WINDOW,
    height: int = HEIGHT,
    width: int = WIDTH,
    file: str | None = None,
    crop: str = "center",
) -> tuple[Node, Node, Node]:
    """The group "Clip": a video file (None: the pack's example), its parts, its first frames in the model's size."""
    canvas.group("Clip", 300)
    if file is None:
        video = canvas.node("VideoRealismLoadClip", "Load Clip", report=3, file=EXAMPLE)
    else:
        video = canvas.node("LoadVideo", "Load Video", tall=300, file=file)
    parts = canvas.node("GetVideoComponents", "Get Video Components", tall=110, video=video)
    size = {"width": width, "height": height, "upscale_method": "area", "crop": crop}
    scaled = canvas.node("ImageScale", "Upscale Image", image=parts["images"], **size)
    return video, parts, taken(canvas, scaled, length, f"Take {length} frames")


def taken(canvas: Canvas, frames: Node | Output, length: int, title: str) -> Node:
    """The first frames of a clip."""
    return canvas.node("ImageFromBatch", title, image=frames, batch_index=0, length=length)


def structure_maps(canvas: Canvas, frames: Node, made_for: str) -> Node:
    """Maps as the networks of a family were trained on them."""
    return canvas.node("VideoRealismStructureMaps", "Structure Maps", report=4, frames=frames, made_for=made_for)


# -- models, prompts, controls ---------------------------------------------------------------------------------------


def video_model(canvas: Canvas, below: str | None = None) -> tuple[Node, dict[str, Node]]:
    """The group "Model": the embedded model and its control branches by name."""
    canvas.group("Model", 300, below)
    model = canvas.node("VideoRealismLoadVideoModel", "Load Video Model", report=5)
    return model, control_branches(canvas)


def control_branches(canvas: Canvas, **folder: str) -> dict[str, Node]:
    kind = "VideoRealismLoadControlBranch"
    return {name: canvas.node(kind, f"Control branch: {name}", modality=name, **folder) for name in MAPS}


def encoded(canvas: Canvas, clip: Node | Output, texts: dict[str, str | Output], tall: int = 150) -> dict[str, Output]:
    """Conditioning by the prompts' names."""
    return {
        name: Output(canvas.node("CLIPTextEncode", f"Prompt: {name}", tall=tall, clip=clip, text=text), 0)
        for name, text in texts.items()
    }


def prompts(
    canvas: Canvas, model: Node, description: Output | None, inversion: bool = True, below: str | None = None
) -> dict[str, Output]:
    """The group "Prompts": the preset's texts, followed by what is in the clip where that is known."""
    texts: dict[str, str | Output] = {"inversion": PRESET["inversion_prompt"]} if inversion else {}
    texts["positive"] = PRESET["prompt"]
    canvas.group("Prompts", 330 if description is not None else 300, below)
    if description is not None:
        for name, text in texts.items():
            joined = {"string_a": text, "string_b": description, "delimiter": ", "}
            texts[name] = Output(canvas.node("StringConcatenate", f"Text: {name}", tall=210, **joined), 0)
        canvas.column(290)
    texts["negative"] = PRESET["negative_prompt"]
    return encoded(canvas, model["clip"], texts)


def control_stacks(
    canvas: Canvas,
    conditions: dict[str, Output],
    networks: dict[str, Node],
    maps: Node,
    weights: dict[str, float] = PRESET["control_weights"],
    **wires: Node | Output,
) -> dict[str, Output]:
    """One stack node for each network, chained; the conditions with all controls on them."""
    for count, (name, network) in enumerate(networks.items(), start=1):
        stack = canvas.node(
            "VideoRealismControlNetStack",
            f"Condition Stack: {name}",
            report=count + 5,
            **conditions,
            control_net=network,
            map=maps[name],
            weight=weights[name],
            **wires,
        )
        conditions = {prompt: stack[prompt] for prompt in conditions}
    return conditions


def demo_conditions(
    canvas: Canvas, frames: int = WINDOW, inversion: bool = True
) -> tuple[Node, Node, Node, dict[str, Output]]:
    """The groups "Clip", "Model", "Prompts" and "Control": source, photoreal twin, embedded model, conditions."""
    source, twin = demo_clip(canvas, frames)
    model, branches = video_model(canvas, below="Clip")
    conditions = prompts(canvas, model, source["description"], inversion)
    canvas.group("Control", 310)
    return source, twin, model, control_stacks(canvas, conditions, branches, source)


# -- the passes ------------------------------------------------------------------------------------------------------


def karras_levels(canvas: Canvas, steps: int, **grid: float) -> Node:
    """The native scheduler counts its values, so one more than there are steps."""
    return canvas.node("KarrasScheduler", "Noise levels (steps + 1)", steps=steps + 1, **grid)


def preset_levels(canvas: Canvas) -> Node:
    return karras_levels(canvas, **{name: PRESET[name] for name in ("steps", "sigma_max", "sigma_min", "rho")})


def guider(canvas: Canvas, model: Node | Output, conditions: dict[str, Output], cfg: float = PRESET["cfg"]) -> Node:
    return canvas.node("VideoRealismDualPromptGuider", "Dual-Prompt CFG Guider", model=model, cfg=cfg, **conditions)


def encode(canvas: Canvas, frames: Node | Output, vae: Node | Output) -> Node:
    return canvas.node("VAEEncode", "VAE Encode", pixels=frames, vae=vae)


def decode(canvas: Canvas, latent: Node | Output, vae: Node | Output, title: str = "VAE Decode") -> Node:
    return canvas.node("VAEDecode", title, samples=latent, vae=vae)


def sample(canvas: Canvas, noise, guide, sampler, sigmas, latent, title: str = "SamplerCustomAdvanced") -> Node:
    wires = {"noise": noise, "guider": guide, "sampler": sampler, "sigmas": sigmas, "latent_image": latent}
    return canvas.node("SamplerCustomAdvanced", title, **wires)


def inverted(
    canvas: Canvas, model: Output | Node, conditions: dict[str, Output], latent: Node, sigmas: Node, report: int = 4
) -> Node:
    wires = {"model": model, "inversion": conditions["inversion"], "latent": latent, "sigmas": sigmas}
    return canvas.node("VideoRealismDDIMInvert", "DDIM Invert", report=report, **wires)


def both_passes(
    canvas: Canvas,
    model: Output | Node,
    vae: Output | Node,
    conditions: dict[str, Output],
    frames: Output | Node,
    levels: Callable[[Canvas], Node | Output] = preset_levels,
    cfg: float = PRESET["cfg"],
    report: int = 4,
) -> Node:
    """Goes on in the group "Inversion" with encoding and inverting; then the group "Sampling" with its frames.

    report: lines of the inversion's; it writes some for every chunk of a list."""
    latent = encode(canvas, frames, vae)
    inversion = inverted(canvas, model, conditions, latent, levels(canvas), report)
    canvas.group("Sampling", 300, below="Inversion")
    guide = guider(canvas, model, conditions, cfg)
    result = sample(canvas, inversion["noise"], guide, inversion["sampler"], inversion["sigmas"], latent)
    return decode(canvas, result, vae)


def shared_start(canvas: Canvas, model: Node, conditions: dict[str, Output]) -> tuple[Node, Output, Node]:
    """Random noise, the lower part of the noise levels and the guider."""
    random = canvas.node("RandomNoise", "RandomNoise", noise_seed=1)
    levels = {"sigmas": preset_levels(canvas), "denoise": PARTIAL["denoise"]}
    split = canvas.node("SplitSigmasDenoise", "SplitSigmasDenoise", **levels)
    return random, split["low_sigmas"], guider(canvas, model["model"], conditions, PARTIAL["cfg"])


def calibrated(canvas: Canvas, noise: Node, guide: Node, latent: Node, sigmas: Output) -> Node:
    wires = {"noise": noise, "guider": guide, "latent": latent, "sigmas": sigmas}
    return canvas.node("VideoRealismNoiseCalibrate", "Noise Calibrate", report=6, **wires, **CALIBRATION)


# -- results ---------------------------------------------------------------------------------------------------------


def compared(canvas: Canvas, name: str, clips: dict[str, Node | Output], sheet: int = 380) -> Node:
    """The clips by their labels, side by side and on a sheet that is saved; `sheet`: height of the node with it."""
    wires = {f"clip_{number}": clip for number, clip in enumerate(clips.values(), start=1)}
    labels = {f"label_{number}": label for number, label in enumerate(clips, start=1)}
    compare = canvas.node("VideoRealismCompare", "Compare", report=3, **wires, **labels)
    sheets = {"images": compare["contact sheet"], "filename_prefix": f"{name}_sheet"}
    canvas.node("SaveImage", "Contact sheet", tall=sheet, **sheets)
    return compare


def measured(canvas: Canvas, clips: Iterable[Node | Output], title: str = "Video Metrics", critic: bool = True) -> Node:
    """clips: source, output and, where there is one, the reference."""
    wires = dict(zip(("source", "output", "reference"), clips))
    return canvas.node("VideoRealismVideoMetrics", title, report=16, critic=critic, **wires)


def alternative(canvas: Canvas, name: str, wires: tuple, model: Node, source: Node, twin: Node) -> Output:
    """One of several ways that are compared: sampled, decoded and measured, in two columns; its frames.

    wires: noise, guider, sampler, sigmas and latent of `sample`.
    """
    canvas.column(290)
    enhanced = decode(
        canvas, sample(canvas, *wires, title=f"Sample: {name}"), model["vae"], title=f"VAE Decode: {name}"
    )
    canvas.column(430)
    measured(canvas, (source["frames"], enhanced, twin["frames"]), title=f"Video Metrics: {name}")
    return enhanced


def saved_video(
    canvas: Canvas, frames: Node | Output, fps: Output, name: str, audio: Output | None = None, tall: int = 300
) -> None:
    sound = {} if audio is None else {"audio": audio}
    video = canvas.node("CreateVideo", "Create Video", tall=110, images=frames, fps=fps, **sound)
    canvas.node("SaveVideo", "Save Video", tall=tall, video=video, filename_prefix=f"video/{name}")


def demo_result(canvas: Canvas, name: str, source: Node, enhanced: Node, twin: Node) -> None:
    """Goes on in the group "Result": source, result and photoreal twin compared, measured and saved side by side."""
    clips = {"source": source["frames"], "enhanced": enhanced, "photoreal twin": twin["frames"]}
    compare = compared(canvas, name, clips)
    canvas.column(430)
    measured(canvas, clips.values())
    saved_video(canvas, compare["side by side"], source["fps"], name)


def file_result(canvas: Canvas, name: str, parts: Node, clips: dict[str, Node | Output], critic: bool = False) -> Node:
    """The group "Result": "source", "enhanced" and one map compared, measured and saved with the file's sound; the node
    that measures."""
    canvas.group("Result", 640)
    compared(canvas, name, clips)
    canvas.column(430)
    metrics = measured(canvas, (clips["source"], clips["enhanced"]), critic=critic)
    saved_video(canvas, clips["enhanced"], parts["fps"], name, parts["audio"], tall=400)
    return metrics
