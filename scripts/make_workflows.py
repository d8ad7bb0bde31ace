"""Writes workflows/*.json and workflows/api/*.api.json from the descriptions below.

    python scripts/make_workflows.py --server 127.0.0.1:8188

Sockets and widgets come from the server: give it the oldest ComfyUI that the pack supports, so that the files hold
only what every supported version knows.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from comfy_client import Client, ClientError
from workflow_canvas import Canvas, Node, Output

ROOT = Path(__file__).resolve().parents[1]
PRESET = json.loads((ROOT / "models" / "embedded" / "preset.json").read_text(encoding="utf-8"))
HEIGHT, WIDTH = PRESET["size"]
WINDOW = PRESET["window"]
ALL = ("edge", "depth", "segmentation")


# -- parts that several graphs share --------------------------------------------------------------------------------


def drive(canvas: Canvas, title: str, frames: int, style: str = "synthetic") -> Node:
    size = {"width": WIDTH, "height": HEIGHT}
    return canvas.node("VideoRealismDemoDrive", title, report=3, frames=frames, style=style, **size)


def video_model(canvas: Canvas) -> tuple[Node, dict[str, Node]]:
    """The group "Model": the embedded model and its control branches by name."""
    canvas.group("Model", 290)
    model = canvas.node("VideoRealismLoadVideoModel", "Load Video Model", report=5)
    kind = "VideoRealismLoadControlBranch"
    return model, {name: canvas.node(kind, f"Control branch: {name}", modality=name) for name in ALL}


def prompts(canvas: Canvas, model: Node, description: Output | None, inversion: bool = True) -> dict[str, Node]:
    """The group "Prompts": the preset's texts, followed by what is in the clip where that is known."""
    texts: dict = {"inversion": PRESET["inversion_prompt"]} if inversion else {}
    texts["positive"] = PRESET["prompt"]
    canvas.group("Prompts", 330)
    if description is not None:
        for name, text in texts.items():
            joined = {"string_a": text, "string_b": description, "delimiter": ", "}
            texts[name] = canvas.node("StringConcatenate", f"Text: {name}", height=230, **joined)
        canvas.column(290)
    texts["negative"] = PRESET["negative_prompt"]
    return {
        name: canvas.node("CLIPTextEncode", f"Prompt: {name}", height=150, clip=model["clip"], text=text)
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


def guider(canvas: Canvas, model: Node | Output, told: dict[str, Output]) -> Node:
    return canvas.node("VideoRealismDualPromptGuider", "Dual-Prompt CFG Guider", model=model, cfg=PRESET["cfg"], **told)


def sample(canvas: Canvas, name: str, noise, guide, sampler, sigmas, latent) -> Node:
    wires = {"noise": noise, "guider": guide, "sampler": sampler, "sigmas": sigmas, "latent_image": latent}
    return canvas.node("SamplerCustomAdvanced", name, **wires)


def saved_video(canvas: Canvas, frames: Output, fps: Output, name: str, audio: Output | None = None) -> None:
    extra = {} if audio is None else {"audio": audio}
    video = canvas.node("CreateVideo", "Create Video", images=frames, fps=fps, **extra)
    canvas.node("SaveVideo", "Save Video", height=420, video=video, filename_prefix=f"video/{name}")


def compared(canvas: Canvas, name: str, clips: dict[str, Node | Output], columns: int = 5) -> Node:
    """The group "Result": the clips by their labels, side by side and on a sheet."""
    given = {f"clip_{number}": clip for number, clip in enumerate(clips.values(), start=1)}
    labels = {f"label_{number}": label for number, label in enumerate(clips, start=1)}
    made = canvas.node("VideoRealismCompare", "Compare", report=2, columns=columns, **given, **labels)
    canvas.node("SaveImage", "Contact sheet", height=400, images=made["contact sheet"], filename_prefix=f"{name}_sheet")
    return made


# -- the graphs -----------------------------------------------------------------------------------------------------


def realism_demo(canvas: Canvas) -> None:
    canvas.note(
        """# Simulated drive to filmed drive

The whole job, step by step, on a small model that comes with the pack. Nothing to download: press **Run**.

1. **Demo Drive** renders a drive as a simulator would, with its edge, depth and segmentation maps.
2. **DDIM Invert** finds the noise that the model would turn into exactly this clip, under a prompt that says what \
the clip is now: a simulator's picture.
3. **SamplerCustomAdvanced** turns that noise into a clip again, under a prompt that says what it should be: filmed. \
Layout, motion and traffic lights come along in the noise, and the three maps hold them in place.
4. **Video Metrics** says what was kept, and compares with the photoreal twin: the same drive as a camera would \
have seen it. Only this made-up world has such a twin.

**Change first**
- *scene_seed* in both Demo Drives (the same number in both): another town.
- the text in *Text: positive*: `at night`, `in heavy rain`, `in thick fog`.
- *weight* in a Condition Stack: 0 switches a map off.
- *cfg* in the guider: 1 is off, 2 or 3 pushes harder towards the prompt.

**Time** about half a minute on two CPU cores, seconds on a graphics card.

The model is tiny (160x96 pixels, 17 frames, this world only): it shows how the parts work together. For your own \
clip see *realism_video_file*, for long ones *long_clip*.""",
        (420, 900),
    )
    canvas.group("Clip", 300)
    source = drive(canvas, "Demo Drive: source", WINDOW)
    twin = drive(canvas, "Demo Drive: photoreal twin", WINDOW, "photoreal.day")
    model, branches = video_model(canvas)
    told = control_stacks(canvas, prompts(canvas, model, source["description"]), branches, source)
    canvas.group("Inversion", 300)
    latent = canvas.node("VAEEncode", "VAE Encode", pixels=source["frames"], vae=model["vae"])
    levels = noise_levels(canvas)
    found = canvas.node(
        "VideoRealismDDIMInvert",
        "DDIM Invert",
        report=4,
        model=model["model"],
        inversion=told["inversion"],
        latent=latent,
        sigmas=levels,
    )
    canvas.group("Sampling", 300)
    guide = guider(canvas, model["model"], told)
    result = sample(canvas, "SamplerCustomAdvanced", found["noise"], guide, found["sampler"], found["sigmas"], latent)
    frames = canvas.node("VAEDecode", "VAE Decode", samples=result, vae=model["vae"])
    canvas.group("Result", 430)
    clips = {"source": source["frames"], "enhanced": frames, "photoreal twin": twin["frames"]}
    shown = compared(canvas, "realism_demo", clips)
    canvas.column(430)
    measured = dict(zip(("source", "output", "reference"), clips.values()))
    canvas.node("VideoRealismVideoMetrics", "Video Metrics", report=14, **measured)
    saved_video(canvas, shown["side by side"], source["fps"], "realism_demo")


GRAPHS = [realism_demo]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", default="127.0.0.1:8188", help="a running ComfyUI with this pack")
    options = parser.parse_args()
    try:
        info = Client(options.server).get("/object_info")
    except ClientError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    folder = ROOT / "workflows"
    (folder / "api").mkdir(parents=True, exist_ok=True)
    for graph in GRAPHS:
        canvas = Canvas(info)
        graph(canvas)
        for path, content in (
            (folder / f"{graph.__name__}.json", canvas.ui()),
            (folder / "api" / f"{graph.__name__}.api.json", canvas.api()),
        ):
            path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
