"""Writes workflows/*.json and workflows/api/*.api.json from the descriptions below; then come the thumbnails.

    python scripts/make_workflows.py --server 127.0.0.1:8188
    python scripts/make_thumbnails.py --server 127.0.0.1:8188

Sockets and widgets come from the server: give it the oldest ComfyUI that the pack supports, so that the files hold
only what every supported version knows.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from comfy_client import Client, ClientError
from workflow_canvas import Canvas
from workflow_parts import (
    ALL,
    HEIGHT,
    PRESET,
    WIDTH,
    WINDOW,
    calibrated,
    compared,
    control_stacks,
    drive,
    guider,
    inverted,
    measured,
    noise_levels,
    prompts,
    sample,
    saved_video,
    shared_start,
    video_model,
)
from workflows_conditions import carla_buffers
from workflows_families import GRAPHS as FAMILIES
from workflows_longvideo import GRAPHS as LONG_VIDEO
from workflows_metrics import measure_only
from workflows_transfer1 import cosmos_transfer1
from workflows_transfer25 import cosmos_transfer25

ROOT = Path(__file__).resolve().parents[1]


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

**Time** under a minute on one CPU core.

The model is tiny (160x96 pixels, 17 frames, this world only): it shows how the parts work together. Your own clip: \
*realism_video_file*. Long clips: *long_clip*. All of this in one node: *enhance_one_node*.""",
        (420, 540),
    )
    canvas.group("Clip", 300)
    source = drive(canvas, "Demo Drive: source", WINDOW)
    twin = drive(canvas, "Demo Drive: photoreal twin", WINDOW, "photoreal.day")
    model, branches = video_model(canvas, below="Clip")
    told = control_stacks(canvas, prompts(canvas, model, source["description"]), branches, source)
    canvas.group("Inversion", 300)
    latent = canvas.node("VAEEncode", "VAE Encode", pixels=source["frames"], vae=model["vae"])
    found = inverted(canvas, model["model"], told, latent, noise_levels(canvas))
    canvas.group("Sampling", 300, below="Inversion")
    guide = guider(canvas, model["model"], told)
    result = sample(canvas, "SamplerCustomAdvanced", found["noise"], guide, found["sampler"], found["sigmas"], latent)
    frames = canvas.node("VAEDecode", "VAE Decode", samples=result, vae=model["vae"])
    canvas.group("Result", 640)
    clips = {"source": source["frames"], "enhanced": frames, "photoreal twin": twin["frames"]}
    shown = compared(canvas, "realism_demo", clips)
    canvas.column(430)
    measured(canvas, "Video Metrics", *clips.values())
    saved_video(canvas, shown["side by side"], source["fps"], "realism_demo")


def enhance_one_node(canvas: Canvas) -> None:
    canvas.note(
        """# The whole job in one node

**Demo Drive** renders a drive as a simulator would; **Enhance Realism** makes it look filmed. Inside is what \
*realism_demo* shows step by step. Nothing to download: press **Run**.

**Change first**
- *realism*: how far towards filmed; *faithfulness*: how near to the source. 0.5 and 0.5 are the model's own settings.
- *prompt*: how the result should look, such as `a dashcam video at night`. Empty is a sunny day.
- *scene_seed* in Demo Drive: another town.

**Your own clip:** in place of Demo Drive put *Load Video* and *Get Video Components* and connect *images* to \
*frames*. Any size and any length is taken. Leave edge, depth, segmentation and description unconnected, or make \
the maps with *Structure Maps*.

**Time** under a minute on one CPU core for these 17 frames.""",
        (400, 400),
    )
    canvas.group("Clip", 300)
    source = drive(canvas, "Demo Drive", WINDOW)
    canvas.group("Enhance", 380)
    maps = {name: source[name] for name in ALL}
    enhanced = canvas.node(
        "VideoRealismEnhanceRealism",
        "Enhance Realism",
        report=8,
        frames=source["frames"],
        **maps,
        description=source["description"],
    )
    canvas.group("Result", 640)
    shown = compared(
        canvas, "enhance_one_node", {"source": source["frames"], "enhanced": enhanced["frames"]}, sheet=300
    )
    canvas.column(430)
    saved_video(canvas, shown["side by side"], source["fps"], "enhance_one_node")


def realism_video_file(canvas: Canvas) -> None:
    canvas.note(
        """# Your own clip

The graph of *realism_demo* on a video file.

**First** choose your clip in *Load Video*, and write what it shows into *Prompt: inversion* (as it is now) and \
*Prompt: positive* (as it should look).

**Size and length** The embedded model works at 160x96 pixels on 17 frames. *Upscale Image* brings any clip to that \
size and cuts the edges off where the shape differs; *Take 17 frames* takes the first ones (change *batch_index* for \
later ones). A clip shorter than that stops at *VAE Encode*, which says how many frames fit: set *length* to such a \
number, 13 for example. For every frame of a long clip see *long_clip*; *Enhance Realism* in *enhance_one_node* takes \
any size and length by itself.

**Maps** *Structure Maps* finds edges. For depth and segmentation put a Depth Anything V2 and a SegFormer folder \
into `models/depth_estimation` and `models/semantic_segmentation` and choose them there; without them their \
Condition Stacks add nothing and say so.

The frame rate and the sound of your clip are kept.

**Time** under a minute on one CPU core.

The embedded model knows only its own made-up world: on other footage it shows the mechanism, not the quality. Load \
a Cosmos-Transfer folder in *Load Video Model* and all *Control branch* nodes for the real thing, and set the size and \
length to that model's.""",
        (420, 540),
    )
    canvas.group("Clip", 300)
    video = canvas.node("LoadVideo", "Load Video", tall=300, file="drive.mp4")
    parts = canvas.node("GetVideoComponents", "Get Video Components", tall=110, video=video)
    size = {"width": WIDTH, "height": HEIGHT, "upscale_method": "area", "crop": "center"}
    scaled = canvas.node("ImageScale", "Upscale Image", image=parts["images"], **size)
    frames = canvas.node("ImageFromBatch", f"Take {WINDOW} frames", image=scaled, batch_index=0, length=WINDOW)
    maps = canvas.node("VideoRealismStructureMaps", "Structure Maps", report=4, frames=frames, made_for="embedded")
    model, branches = video_model(canvas)
    told = control_stacks(canvas, prompts(canvas, model, None, below="Model"), branches, maps)
    canvas.group("Inversion", 300)
    latent = canvas.node("VAEEncode", "VAE Encode", pixels=frames, vae=model["vae"])
    found = inverted(canvas, model["model"], told, latent, noise_levels(canvas))
    canvas.group("Sampling", 300, below="Inversion")
    guide = guider(canvas, model["model"], told)
    result = sample(canvas, "SamplerCustomAdvanced", found["noise"], guide, found["sampler"], found["sigmas"], latent)
    enhanced = canvas.node("VAEDecode", "VAE Decode", samples=result, vae=model["vae"])
    canvas.group("Result", 640)
    compared(canvas, "realism_video_file", {"source": frames, "enhanced": enhanced, "edges": maps["edge"]})
    canvas.column(430)
    measured(canvas, "Video Metrics", frames, enhanced)
    saved_video(canvas, enhanced, parts["fps"], "realism_video_file", parts["audio"], tall=400)


def calibrated_sdedit(canvas: Canvas) -> None:
    canvas.note(
        """# Noise calibration

Video-to-video in the usual way (SDEdit) puts random noise over the clip and lets the model clean it up: more noise \
changes more, and loses more. **Noise Calibrate** corrects the noise first, so that the model sees the clip's coarse \
layout in it: one model call buys most of the faithfulness that an inversion costs a whole pass for.

1. *Noise levels* and **SplitSigmasDenoise**: how much noise is put over the clip.
2. **RandomNoise** to **Noise Calibrate** to **SamplerCustomAdvanced**: unplug Noise Calibrate and connect RandomNoise \
to the sampler to see the difference.

**Change first**
- *denoise* in SplitSigmasDenoise: 0.3 stays near the clip, 0.7 is nearly free.
- *cfg* in the guider: how hard the prompt pulls.
- *nu* in Noise Calibrate: how fine the layout is that must stay; *low* leaves the coarsest, colour and light, free.
- *noise_seed*: another take.

**Time** under a minute on one CPU core.

The embedded model is small, and random noise shows it more than an inverted one does: see *starts_compared*.""",
        (420, 460),
    )
    canvas.group("Clip", 300)
    source = drive(canvas, "Demo Drive: source", WINDOW)
    twin = drive(canvas, "Demo Drive: photoreal twin", WINDOW, "photoreal.day")
    model, branches = video_model(canvas, below="Clip")
    told = control_stacks(canvas, prompts(canvas, model, source["description"], inversion=False), branches, source)
    canvas.group("Noise", 300)
    latent = canvas.node("VAEEncode", "VAE Encode", pixels=source["frames"], vae=model["vae"])
    random, sigmas, guide = shared_start(canvas, model, told)
    canvas.group("Calibrate and sample", 320)
    noise = calibrated(canvas, random, guide, latent, sigmas)
    solver = canvas.node("KSamplerSelect", "KSamplerSelect", sampler_name="dpmpp_2m")
    result = sample(canvas, "SamplerCustomAdvanced", noise["noise"], guide, solver, sigmas, latent)
    frames = canvas.node("VAEDecode", "VAE Decode", samples=result, vae=model["vae"])
    canvas.group("Result", 640)
    clips = {"source": source["frames"], "enhanced": frames, "photoreal twin": twin["frames"]}
    shown = compared(canvas, "calibrated_sdedit", clips)
    canvas.column(430)
    measured(canvas, "Video Metrics", *clips.values())
    saved_video(canvas, shown["side by side"], source["fps"], "calibrated_sdedit")


def starts_compared(canvas: Canvas) -> None:
    canvas.note(
        """# Where the noise comes from

Three ways to begin, everything else equal: the same clip, prompts, maps, guider and noise levels.

1. **Inverted** the noise that the model itself would turn into the clip. Costs a whole pass; keeps most.
2. **Calibrated** random noise, corrected until the model sees the clip's coarse layout. Costs one model call.
3. **Random** noise over the clip, as image-to-image does everywhere (SDEdit).

*Video Metrics* compares each with the photoreal twin: what a camera would have seen. Higher psnr and ssim are \
nearer to it, edge_f1 is what was kept of the source, and the critic says how photoreal it looks, 0 to 1.

**Change first**
- *denoise* in SplitSigmasDenoise: with 1 the random start keeps nothing of the clip, with 0.3 none changes much.
- *scene_seed* in both Demo Drives: another town.
- *noise_seed*: inversion does not change with it, the others do.

**Time** about a minute on one CPU core.""",
        (420, 460),
    )
    canvas.group("Clip", 300)
    source = drive(canvas, "Demo Drive: source", WINDOW)
    twin = drive(canvas, "Demo Drive: photoreal twin", WINDOW, "photoreal.day")
    model, branches = video_model(canvas, below="Clip")
    told = control_stacks(canvas, prompts(canvas, model, source["description"]), branches, source)
    canvas.group("What the three share", 300)
    latent = canvas.node("VAEEncode", "VAE Encode", pixels=source["frames"], vae=model["vae"])
    random, sigmas, guide = shared_start(canvas, model, told)
    solver = canvas.node("KSamplerSelect", "KSamplerSelect", sampler_name="dpmpp_2m")
    results = {}

    def finish(name: str, *wires) -> None:
        canvas.column(290)
        result = sample(canvas, f"Sample: {name}", *wires, latent)
        results[name] = canvas.node("VAEDecode", f"VAE Decode: {name}", samples=result, vae=model["vae"])
        canvas.column(430)
        measured(canvas, f"Video Metrics: {name}", source["frames"], results[name], twin["frames"])

    canvas.group("1 Inverted", 310)
    found = inverted(canvas, model["model"], told, latent, sigmas)
    finish("inverted", found["noise"], guide, found["sampler"], found["sigmas"])
    canvas.group("2 Calibrated", 310, below="1 Inverted")
    noise = calibrated(canvas, random, guide, latent, sigmas)
    finish("calibrated", noise["noise"], guide, solver, sigmas)
    canvas.group("3 Random", 310, below="2 Calibrated")
    finish("random", random, guide, solver, sigmas)
    canvas.group("Result", 640)
    shown = compared(canvas, "starts_compared", results)
    saved_video(canvas, shown["side by side"], source["fps"], "starts_compared")


def long_clip(canvas: Canvas) -> None:
    canvas.note(
        f"""# Longer than the model's window

The model sees {WINDOW} frames at a time. **Chunk Plan** cuts the clip and its maps into overlapping chunks and says \
how many and what that costs; ComfyUI then runs every node after it once per chunk; **Chunk Stitcher** crossfades \
the shared frames and gives one clip of the original length.

All chunks have the same prompts and the same noise levels. Inversion draws no random numbers, so neighbouring \
chunks agree where they overlap.

**Change first**
- *frames* in both Demo Drives: any length.
- *overlap* in Chunk Plan: more hides the seams better and costs more.
- *window*, for another model: 1 plus a multiple of 4 for Wan and Cosmos 2.5.

**Your own clip:** replace Demo Drive by the group *Clip* of *realism_video_file*, without *Take {WINDOW} frames*.

**Time** about two minutes on one CPU core.""",
        (420, 440),
    )
    canvas.group("Clip", 300)
    source = drive(canvas, "Demo Drive: source", 3 * WINDOW - 2)
    twin = drive(canvas, "Demo Drive: photoreal twin", 3 * WINDOW - 2, "photoreal.day")
    canvas.group("Chunks", 330, below="Clip")
    maps = {name: source[name] for name in ALL}
    cut = {"window": WINDOW, "overlap": PRESET["overlap"], "temporal_ratio": PRESET["temporal_ratio"]}
    chunks = canvas.node("VideoRealismChunkPlan", "Chunk Plan", report=5, frames=source["frames"], **maps, **cut)
    model, branches = video_model(canvas)
    told = control_stacks(canvas, prompts(canvas, model, source["description"]), branches, chunks)
    canvas.group("Inversion", 300)
    latent = canvas.node("VAEEncode", "VAE Encode", pixels=chunks["frames"], vae=model["vae"])
    found = inverted(canvas, model["model"], told, latent, noise_levels(canvas))
    canvas.group("Sampling", 300, below="Inversion")
    guide = guider(canvas, model["model"], told)
    result = sample(canvas, "SamplerCustomAdvanced", found["noise"], guide, found["sampler"], found["sigmas"], latent)
    decoded = canvas.node("VAEDecode", "VAE Decode", samples=result, vae=model["vae"])
    canvas.group("Result", 640)
    frames = canvas.node("VideoRealismChunkStitcher", "Chunk Stitcher", report=1, chunks=decoded, plan=chunks["plan"])
    clips = {"source": source["frames"], "enhanced": frames, "photoreal twin": twin["frames"]}
    shown = compared(canvas, "long_clip", clips)
    canvas.column(430)
    measured(canvas, "Video Metrics", *clips.values())
    saved_video(canvas, shown["side by side"], source["fps"], "long_clip")


GRAPHS = [
    realism_demo,
    enhance_one_node,
    realism_video_file,
    calibrated_sdedit,
    starts_compared,
    long_clip,
    *LONG_VIDEO,
    *FAMILIES,
    carla_buffers,
    measure_only,
    cosmos_transfer1,
    cosmos_transfer25,
]


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
