"""The parts that the shipped workflows share: the clip, the model, prompts, controls, the starts, the results."""

from __future__ import annotations

import json
from pathlib import Path

from workflow_canvas import Canvas, Node, Output

PRESET = json.loads((Path(__file__).resolve().parents[1] / "models/embedded/preset.json").read_text(encoding="utf-8"))
HEIGHT, WIDTH = PRESET["size"]
WINDOW = PRESET["window"]
# For noise put over the clip: below 0.6 the embedded model changes little, and cfg pushes it towards the prompt.
PARTIAL = {"denoise": 0.6, "cfg": 2.0}
CALIBRATION = {"rounds": 1, "nu": 1.0, "low": 0.2}
ALL = ("edge", "depth", "segmentation")


def drive(canvas: Canvas, title: str, frames: int, style: str = "synthetic") -> Node:
    size = {"width": WIDTH, "height": HEIGHT}
    return canvas.node("VideoRealismDemoDrive", title, report=3, frames=frames, style=style, **size)


def video_model(canvas: Canvas, below: str | None = None) -> tuple[Node, dict[str, Node]]:
    """The group "Model": the embedded model and its control branches by name."""
    canvas.group("Model", 300, below)
    model = canvas.node("VideoRealismLoadVideoModel", "Load Video Model", report=5)
    kind = "VideoRealismLoadControlBranch"
    return model, {name: canvas.node(kind, f"Control branch: {name}", modality=name) for name in ALL}


def prompts(
    canvas: Canvas, model: Node, description: Output | None, inversion: bool = True, below: str | None = None
) -> dict[str, Node]:
    """The group "Prompts": the preset's texts, followed by what is in the clip where that is known."""
    texts: dict = {"inversion": PRESET["inversion_prompt"]} if inversion else {}
    texts["positive"] = PRESET["prompt"]
    canvas.group("Prompts", 330 if description is not None else 300, below)
    if description is not None:
        for name, text in texts.items():
            joined = {"string_a": text, "string_b": description, "delimiter": ", "}
            texts[name] = canvas.node("StringConcatenate", f"Text: {name}", tall=210, **joined)
        canvas.column(290)
    texts["negative"] = PRESET["negative_prompt"]
    return {
        name: canvas.node("CLIPTextEncode", f"Prompt: {name}", tall=150, clip=model["clip"], text=text)
        for name, text in texts.items()
    }


def control_stacks(canvas: Canvas, told: dict[str, Node], branches: dict[str, Node], maps: Node) -> dict[str, Output]:
    """The group "Control": one stack node for each map, chained; the prompts with all controls on them."""
    canvas.group("Control", 310)
    carried = {name: Output(node, 0) for name, node in told.items()}
    for count, name in enumerate(branches, start=1):
        stack = canvas.node(
            "VideoRealismControlNetStack",
            f"Condition Stack: {name}",
            report=count + 2,
            **carried,
            control_net=branches[name],
            map=maps[name],
            weight=PRESET["control_weights"][name],
        )
        carried = {name: stack[name] for name in carried}
    return carried


def noise_levels(canvas: Canvas) -> Node:
    """The preset's grid: the native scheduler counts its values, so one more than there are steps."""
    grid = {"sigma_max": PRESET["sigma_max"], "sigma_min": PRESET["sigma_min"], "rho": PRESET["rho"]}
    return canvas.node("KarrasScheduler", "Noise levels (steps + 1)", steps=PRESET["steps"] + 1, **grid)


def guider(canvas: Canvas, model: Node | Output, told: dict[str, Output], cfg: float = PRESET["cfg"]) -> Node:
    return canvas.node("VideoRealismDualPromptGuider", "Dual-Prompt CFG Guider", model=model, cfg=cfg, **told)


def sample(canvas: Canvas, name: str, noise, guide, sampler, sigmas, latent) -> Node:
    wires = {"noise": noise, "guider": guide, "sampler": sampler, "sigmas": sigmas, "latent_image": latent}
    return canvas.node("SamplerCustomAdvanced", name, **wires)


def saved_video(
    canvas: Canvas, frames: Output, fps: Output, name: str, audio: Output | None = None, tall: int = 300
) -> None:
    extra = {} if audio is None else {"audio": audio}
    video = canvas.node("CreateVideo", "Create Video", tall=110, images=frames, fps=fps, **extra)
    canvas.node("SaveVideo", "Save Video", tall=tall, video=video, filename_prefix=f"video/{name}")


def inverted(canvas: Canvas, model: Output | Node, told: dict[str, Output], latent: Node, sigmas: Node) -> Node:
    wires = {"model": model, "inversion": told["inversion"], "latent": latent, "sigmas": sigmas}
    return canvas.node("VideoRealismDDIMInvert", "DDIM Invert", report=4, **wires)


def shared_start(canvas: Canvas, model: Node, told: dict[str, Output]) -> tuple[Node, Output, Node]:
    """Random noise, the lower part of the noise levels and the guider."""
    random = canvas.node("RandomNoise", "RandomNoise", noise_seed=1)
    split = canvas.node(
        "SplitSigmasDenoise", "SplitSigmasDenoise", sigmas=noise_levels(canvas), denoise=PARTIAL["denoise"]
    )
    return random, split["low_sigmas"], guider(canvas, model["model"], told, PARTIAL["cfg"])


def calibrated(canvas: Canvas, noise: Node, guide: Node, latent: Node, sigmas: Output) -> Node:
    wires = {"noise": noise, "guider": guide, "latent": latent, "sigmas": sigmas}
    return canvas.node("VideoRealismNoiseCalibrate", "Noise Calibrate", report=4, **wires, **CALIBRATION)


def compared(canvas: Canvas, name: str, clips: dict[str, Node | Output], sheet: int = 380) -> Node:
    """The clips by their labels, side by side and on a sheet that is saved; `sheet`: height of the node with it."""
    given = {f"clip_{number}": clip for number, clip in enumerate(clips.values(), start=1)}
    labels = {f"label_{number}": label for number, label in enumerate(clips, start=1)}
    made = canvas.node("VideoRealismCompare", "Compare", report=3, **given, **labels)
    canvas.node("SaveImage", "Contact sheet", tall=sheet, images=made["contact sheet"], filename_prefix=f"{name}_sheet")
    return made


def measured(canvas: Canvas, title: str, source, output, reference=None, critic: bool = True) -> None:
    twin = {} if reference is None else {"reference": reference}
    report = 13 + 9 * bool(twin) + 3 * critic
    wires = {"source": source, "output": output, **twin}
    canvas.node("VideoRealismVideoMetrics", title, report=report, critic=critic, **wires)
