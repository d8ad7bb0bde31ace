"""The workflow of a simulator's recording: buffers in, enhanced video and report out."""

from __future__ import annotations

from workflow_canvas import Canvas, Output
from workflow_parts import (
    ALL,
    HEIGHT,
    PRESET,
    WIDTH,
    WINDOW,
    compared,
    guider,
    inverted,
    measured,
    noise_levels,
    sample,
    saved_video,
    video_model,
)

CLIP, FOLDER = "town.mp4", "town_buffers"
# The preset's weights as they are used: of a sum of 1, so that what the classes take off them is not divided away.
WEIGHTS = {name: round(weight / sum(PRESET["control_weights"].values()), 2)
           for name, weight in PRESET["control_weights"].items()}  # fmt: skip


def carla_buffers(canvas: Canvas) -> None:
    canvas.note(
        f"""# From a simulator's recording

What the simulator knows holds the clip in place: its own depth and classes instead of estimates, and a weight for \
each class. In comes a clip with its recording, out come the enhanced clip and a report.

**First** make the two inputs. With CARLA: put the clip and the folder of its depth, semantic and instance pictures \
into ComfyUI's `input` folder, and choose them in *Load Video* and *Simulator Buffers*. Without CARLA, in the folder \
of this pack:
`python -m pipeline_core render --seed 910003 -o .../input/{CLIP} --buffers .../input/{FOLDER}`

**How it works**
1. **Simulator Buffers** reads {WINDOW} frames of the recording (depth, classes, objects) and makes the three maps, \
and from *class_weights* a weight for every pixel. What belongs to another clip is refused.
2. **Caption Video** writes the three prompts from the recording's description, or from what a vision-language \
model in `models/vision_language` sees.
3. Every **Condition Stack** takes the weights as its *weight_mask*: signs and lights are held firmly, the sky may \
become another sky. The three weights sum to 1 here: a larger sum is divided to 1 at every pixel, and small class \
weights then count for more.
4. **DDIM Invert**, **SamplerCustomAdvanced** and **Video Metrics** as in *realism_demo*.

**Change first**
- *class_weights*: `signs and lights at 1, sky at 0, rest at 0.5`. Names: road, car, people, building, tree, ...
- *look* in Caption Video: `at night`, `in heavy rain`.
- *palette*, for a model that was trained with other colours.
- *batch_index* in *Take {WINDOW} frames* and *start* in Simulator Buffers, both the same: another part of the clip.

**Time** under a minute on one CPU core.

The embedded model knows only its own made-up world: on CARLA's pictures it shows the mechanism, not the quality. \
Load a Cosmos-Transfer folder for the real thing, and set size and length to that model's.""",
        (440, 760),
    )
    canvas.group("Clip", 300)
    video = canvas.node("LoadVideo", "Load Video", tall=300, file=CLIP)
    parts = canvas.node("GetVideoComponents", "Get Video Components", tall=110, video=video)
    size = {"width": WIDTH, "height": HEIGHT, "upscale_method": "area", "crop": "center"}
    scaled = canvas.node("ImageScale", "Upscale Image", image=parts["images"], **size)
    frames = canvas.node("ImageFromBatch", f"Take {WINDOW} frames", image=scaled, batch_index=0, length=WINDOW)
    canvas.group("Recording", 360)
    buffers = canvas.node(
        "VideoRealismSimulatorBuffers",
        "Simulator Buffers",
        report=5,
        frames=frames,
        video=video,
        folder=FOLDER,
        class_weights="signs and lights at 1, sky at 0.2, rest at 0.8",
        crop=True,
        made_for="embedded",
    )
    model, branches = video_model(canvas, below="Clip")
    canvas.group("Prompts", 330, below="Recording")
    told = canvas.node(
        "VideoRealismCaptionVideo", "Caption Video", report=12, frames=frames, description=buffers["description"]
    )
    canvas.column(300)
    carried = {
        name: Output(canvas.node("CLIPTextEncode", f"Prompt: {name}", tall=110, clip=model["clip"], text=told[name]), 0)
        for name in ("inversion", "positive", "negative")
    }
    canvas.group("Control", 310)
    for count, name in enumerate(ALL, start=1):
        stack = canvas.node(
            "VideoRealismControlNetStack",
            f"Condition Stack: {name}",
            report=count + 2,
            **carried,
            control_net=branches[name],
            map=buffers[name],
            weight_mask=buffers["weights"],
            weight=WEIGHTS[name],
        )
        carried = {text: stack[text] for text in carried}
    canvas.group("Inversion", 300)
    latent = canvas.node("VAEEncode", "VAE Encode", pixels=frames, vae=model["vae"])
    found = inverted(canvas, model["model"], carried, latent, noise_levels(canvas))
    canvas.group("Sampling", 300, below="Inversion")
    guide = guider(canvas, model["model"], carried)
    result = sample(canvas, "SamplerCustomAdvanced", found["noise"], guide, found["sampler"], found["sigmas"], latent)
    enhanced = canvas.node("VAEDecode", "VAE Decode", samples=result, vae=model["vae"])
    canvas.group("Result", 640)
    compared(canvas, "carla_buffers", {"source": frames, "enhanced": enhanced, "classes": buffers["segmentation"]})
    canvas.column(430)
    measured(canvas, "Video Metrics", frames, enhanced)
    saved_video(canvas, enhanced, parts["fps"], "carla_buffers", parts["audio"], tall=400)
    canvas.group("What the weights are", 320, below="Sampling")
    shown = canvas.node("MaskToImage", "Weights as a picture", mask=buffers["weights"])
    canvas.node("PreviewImage", "Preview: weights", tall=320, images=shown)
