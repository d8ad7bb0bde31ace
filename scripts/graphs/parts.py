"""The parts that the shipped graphs share: notes, clips, the model, prompts, controls, the passes, the results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from graphs.canvas import NOTE, Canvas, Node, Output

NOTES = Path(__file__).parent / "notes"
PRESET = json.loads((Path(__file__).parents[2] / "models/embedded/preset.json").read_text(encoding="utf-8"))
HEIGHT, WIDTH = PRESET["size"]
WINDOW = PRESET["window"]
# For noise put over the clip: below 0.6 the embedded model changes little, and cfg pushes it towards the prompt.
PARTIAL = {"denoise": 0.6, "cfg": 2.0}
CALIBRATION = {"rounds": 1, "nu": 1.0, "low": 0.2}
EXAMPLE = "example: drive"
MAPS = ("edge", "depth", "segmentation")
WIDE = 560  # pixels: a note with the group "Clip" of demo drives below it
RESULT, SHEET = 330, 260  # pixels: width of the group "Result", height of a contact sheet


def note(canvas: Canvas, name: str, size: tuple[int, int], **numbers: int) -> None:
    """notes/NAME.md in the upper left corner, `numbers` filled in; by default those of the embedded model."""
    text = (NOTES / f"{name}.md").read_text(encoding="utf-8").removesuffix("\n")
    canvas.note(text.format(**{"window": WINDOW, "height": HEIGHT, "width": WIDTH, **numbers}), size)


# -- clips -----------------------------------------------------------------------------------------------------------


def demo_drive(canvas: Canvas, title: str, frames: int, style: str = "synthetic") -> Node:
    size = {"width": WIDTH, "height": HEIGHT}
    return canvas.node("VideoRealismDemoDrive", title, report=5, frames=frames, style=style, **size)


def demo_clip(canvas: Canvas, frames: int = WINDOW) -> tuple[Node, Node]:
    """The group "Clip" under the note: a drive as a simulator renders it, and as a camera would have seen it."""
    canvas.group("Clip", 240, below=NOTE)
    source = demo_drive(canvas, "Demo Drive: source", frames)
    canvas.column(240)
    return source, demo_drive(canvas, "Demo Drive: photoreal twin", frames, "photoreal.day")


def file_clip(
    canvas: Canvas,
    length: int = WINDOW,
    height: int = HEIGHT,
    width: int = WIDTH,
    crop: str = "center",
) -> tuple[Node, Node, Node]:
    """The group "Clip": a video file (the pack's example), and in the subgraph "Frames" its parts and its first frames
    in the model's size."""
    canvas.group("Clip", 280)
    video = canvas.node("VideoRealismLoadClip", "Load Clip", report=3, file=EXAMPLE)
    about = "The clip's first frames in the size that the model takes; all of them as they are; its rate and sound."
    with canvas.subgraph("Frames", about, 280, video=video) as box:
        parts = canvas.node("GetVideoComponents", "Get Video Components", tall=110, video=video)
        size = {"width": width, "height": height, "upscale_method": "area", "crop": crop}
        scaled = canvas.node("ImageScale", "Upscale Image", image=parts["images"], **size)
        canvas.column(280)
        frames = taken(canvas, scaled, length, f"Take {length} frames")
        box.gives.update({"frames": Output(frames, 0), **{name: parts[name] for name in ("images", "fps", "audio")}})
        box.shows.update({name: (scaled, name) for name in ("width", "height")})
        box.shows.update({name: (frames, name) for name in ("batch_index", "length")})
    return video, parts, frames


def taken(canvas: Canvas, frames: Node | Output, length: int, title: str) -> Node:
    """The first frames of a clip."""
    return canvas.node("ImageFromBatch", title, image=frames, batch_index=0, length=length)


@dataclass
class Unmapped:
    """Frames whose maps are still to be found, as the networks of a family were trained on them."""

    frames: Node
    made_for: str


def structure_maps(canvas: Canvas, frames: Node, made_for: str) -> Node:
    """Maps as the networks of a family were trained on them."""
    return canvas.node("VideoRealismStructureMaps", "Structure Maps", report=4, frames=frames, made_for=made_for)


# -- models, prompts, controls ---------------------------------------------------------------------------------------


def video_model(canvas: Canvas) -> Node:
    """The embedded model."""
    return canvas.node("VideoRealismLoadVideoModel", "Load Video Model", report=8)


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
    canvas: Canvas, clip: Node | Output, texts: dict[str, str], description: Output | None = None
) -> dict[str, Output]:
    """The subgraph "Prompts": conditioning by the texts' names.

    description: what is in the clip; follows every text but the negative one.
    """
    about = "Encodes what the clip shows now, what it should show, and what it should not look like."
    wires = {"clip": clip} if description is None else {"clip": clip, "description": description}
    with canvas.subgraph("Prompts", about, 330, **wires) as box:
        whole: dict[str, str | Output] = dict(texts)
        if description is not None:
            for name in (name for name in texts if name != "negative"):
                joined = {"string_a": texts[name], "string_b": description, "delimiter": ", "}
                whole[name] = Output(canvas.node("StringConcatenate", f"Text: {name}", tall=210, **joined), 0)
            canvas.column(330)
        box.gives.update(encoded(canvas, clip, whole))
        for name, text in whole.items():
            joined = isinstance(text, Output)
            box.shows[name] = (text.node, "string_a") if joined else (box.gives[name].node, "text")
    return dict(box.gives)


def preset_texts(inversion: bool = True) -> dict[str, str]:
    """The embedded model's prompts."""
    names = {"inversion": "inversion_prompt", "positive": "prompt", "negative": "negative_prompt"}
    return {name: PRESET[key] for name, key in names.items() if inversion or name != "inversion"}


def control_stacks(
    canvas: Canvas,
    conditions: dict[str, Output],
    networks: dict[str, Node],
    maps: Node,
    weights: dict[str, float],
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


def mapped(
    canvas: Canvas,
    conditions: dict[str, Output],
    maps: Node | Unmapped,
    networks: dict[str, Node] | None = None,
    weights: dict[str, float] = PRESET["control_weights"],
    **wires: Node | Output,
) -> tuple[dict[str, Output], Output]:
    """The subgraph "Control maps": networks, each with its map, on the conditions; these, and the map of edges.

    networks: None loads the embedded model's branches inside. wires: inputs of every stack, such as `weight_mask`.
    """
    about = "Finds maps in the clip and holds the result to them: a weight for each, 0 switches it off."
    names = tuple(networks or MAPS)
    one = len({id(network) for network in (networks or {}).values()}) == 1
    outside = {"control" if one else f"{name} control": network for name, network in (networks or {}).items()}
    inside = isinstance(maps, Unmapped)
    given = {"frames": maps.frames} if inside else {name: maps[name] for name in names}
    with canvas.subgraph("Control maps", about, 300, **conditions, **given, **outside, **wires) as box:
        if inside:
            maps = structure_maps(canvas, maps.frames, maps.made_for)
            box.shows.update({name.replace("_", " "): (maps, name) for name in ("depth_model", "segmentation_model")})
            canvas.column(300)
        if networks is None:
            networks = control_branches(canvas)
            canvas.column(310)
        box.gives.update(control_stacks(canvas, conditions, networks, maps, weights, **wires))
        stacks = canvas.nodes[-len(names) :]
        box.shows.update({f"{name} weight": (stack, "weight") for name, stack in zip(names, stacks)})
        if inside:
            box.gives["edge map"] = maps["edge"]
    conditions = {name: box.gives[name] for name in conditions}
    return conditions, maps["edge"]


def demo_conditions(
    canvas: Canvas, frames: int = WINDOW, inversion: bool = True
) -> tuple[Node, Node, Node, dict[str, Output]]:
    """The groups "Clip" and "Model, prompts, maps": source, photoreal twin, embedded model, conditions."""
    source, twin = demo_clip(canvas, frames)
    model, conditions, _ = conditioned(canvas, source, source["description"], inversion)
    return source, twin, model, conditions


def conditioned(
    canvas: Canvas, maps: Node | Unmapped, description: Output | None = None, inversion: bool = True
) -> tuple[Node, dict[str, Output], Output]:
    """The group "Model, prompts, maps": the embedded model, the conditions with all controls on them, the edges."""
    canvas.group("Model, prompts, maps", 250)
    model = video_model(canvas)
    conditions = prompts(canvas, model["clip"], preset_texts(inversion), description)
    canvas.column(280)
    return model, *mapped(canvas, conditions, maps)


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
    mask: Output | None = None,
) -> Output:
    """The subgraph "Invert and sample": from frames to frames, through the noise that belongs to them.

    report: lines of the inversion's; it writes some for every chunk of a list. mask: where colours are held."""
    about = "Finds the noise that belongs to the clip, then samples from it under the other prompt."
    takes = {"model": model, "vae": vae, "frames": frames, **conditions, **({"mask": mask} if mask else {})}
    with canvas.subgraph("Invert and sample", about, 300, **takes) as box:
        latent = encode(canvas, frames, vae)
        grid = levels(canvas)
        canvas.column(300)
        inversion = inverted(canvas, model, conditions, latent, grid, report)
        canvas.column(300)
        if mask:
            held = {"model": model, "source": latent, "mask": mask}
            model = canvas.node("VideoRealismHoldColours", "Hold Colours", **held)
            box.shows["hold colours"] = (model, "weight")
        guide = guider(canvas, model, conditions, cfg)
        result = sample(canvas, inversion["noise"], guide, inversion["sampler"], inversion["sigmas"], latent)
        canvas.column(260)
        box.gives["frames"] = Output(decode(canvas, result, vae), 0)
        box.shows["cfg"] = (guide, "cfg")
    return box.gives["frames"]


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


def beside(canvas: Canvas, clips: dict[str, Node | Output]) -> Node:
    """The clips by their labels, side by side."""
    wires = {f"clip_{number}": clip for number, clip in enumerate(clips.values(), start=1)}
    labels = {f"label_{number}": label for number, label in enumerate(clips, start=1)}
    return canvas.node("VideoRealismCompare", "Compare", report=4, **wires, **labels)


def contact_sheet(canvas: Canvas, name: str, compare: Node) -> None:
    """Some frames of all clips on one picture, which is saved."""
    sheets = {"images": compare["contact sheet"], "filename_prefix": f"{name}_sheet"}
    canvas.node("SaveImage", "Contact sheet", tall=SHEET, **sheets)


def compared(canvas: Canvas, name: str, clips: dict[str, Node | Output]) -> Node:
    """The clips by their labels, side by side and on a sheet that is saved."""
    compare = beside(canvas, clips)
    contact_sheet(canvas, name, compare)
    return compare


def measured(canvas: Canvas, clips: Iterable[Node | Output], title: str = "Video Metrics", critic: bool = True) -> Node:
    """clips: source, output and, where there is one, the reference."""
    wires = dict(zip(("source", "output", "reference"), clips))
    return canvas.node("VideoRealismVideoMetrics", title, report=16, critic=critic, **wires)


def alternative(canvas: Canvas, name: str, wires: tuple, vae: Output) -> Output:
    """One of several ways that are compared: sampled and decoded, in this column; its frames.

    wires: noise, guider, sampler, sigmas and latent of `sample`.
    """
    return Output(decode(canvas, sample(canvas, *wires, title=f"Sample: {name}"), vae, f"VAE Decode: {name}"), 0)


def alternatives_result(canvas: Canvas, name: str, ways: dict[str, Output], source: Node, twin: Node) -> None:
    """The group "Result": three ways each measured, compared and saved side by side."""

    def measure(way: str) -> None:
        measured(canvas, (source["frames"], ways[way], twin["frames"]), title=f"Video Metrics: {way}")

    first, second, third = ways
    canvas.group("Result", 320)
    measure(first)
    compare = beside(canvas, ways)
    canvas.column(320)
    measure(second)
    contact_sheet(canvas, name, compare)
    canvas.column(320)
    measure(third)
    saved_video(canvas, compare["side by side"], source["fps"], name)


def video_of(canvas: Canvas, frames: Node | Output, fps: Output, audio: Output | None = None) -> Node:
    sound = {} if audio is None else {"audio": audio}
    return canvas.node("CreateVideo", "Create Video", tall=110, images=frames, fps=fps, **sound)


def saved(canvas: Canvas, video: Node, name: str, tall: int = 260) -> None:
    canvas.node("SaveVideo", "Save Video", tall=tall, video=video, filename_prefix=f"video/{name}")


def saved_video(canvas: Canvas, frames: Node | Output, fps: Output, name: str) -> None:
    saved(canvas, video_of(canvas, frames, fps), name)


def demo_result(canvas: Canvas, name: str, source: Node, enhanced: Node | Output, twin: Node) -> None:
    """The group "Result": source, result and photoreal twin compared, measured and saved side by side."""
    canvas.group("Result", RESULT)
    clips = {"source": source["frames"], "enhanced": enhanced, "photoreal twin": twin["frames"]}
    compare = beside(canvas, clips)
    measured(canvas, clips.values())
    canvas.column(380)
    video = video_of(canvas, compare["side by side"], source["fps"])
    contact_sheet(canvas, name, compare)
    saved(canvas, video, name)


def file_result(canvas: Canvas, name: str, parts: Node, clips: dict[str, Node | Output], critic: bool = False) -> Node:
    """The group "Result": "source", "enhanced" and one map compared, measured and saved with the file's sound; the node
    that measures."""
    canvas.group("Result", RESULT)
    compare = beside(canvas, clips)
    metrics = measured(canvas, (clips["source"], clips["enhanced"]), critic=critic)
    canvas.column(380)
    video = video_of(canvas, clips["enhanced"], parts["fps"], parts["audio"])
    contact_sheet(canvas, name, compare)
    saved(canvas, video, name, tall=300)
    return metrics
