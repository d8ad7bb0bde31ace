"""The workflow of the full-size Cosmos-Transfer2.5."""

from __future__ import annotations

from workflow_canvas import Canvas, Output
from workflow_parts import ALL, compared, guider, inverted, measured, sample, saved_video

FOLDER = "Cosmos-Transfer2.5-2B"
WINDOW, HEIGHT, WIDTH = 93, 704, 1280
WEIGHTS = {"edge": 0.1, "depth": 0.4, "segmentation": 0.5}  # NVIDIA's for driving
RELEASED = {"edge": "edge", "depth": "depth", "segmentation": "seg"}
TEXTS = {
    "inversion": "The video shows a driving simulator, computer graphics with flat shading and simple textures, a car "
    "driving through a city street.",
    "positive": "A photorealistic dashcam video of a car driving through a city street on a clear sunny day, filmed "
    "with a high-end camera in natural light, with fine detail on the road, the buildings and the cars.",
    "negative": "A video game with simple graphics: flat shading, hard fake light, plain textures, coarse geometry, "
    "cartoon-like and pixelated frames, flicker.",
}


def cosmos_transfer25(canvas: Canvas) -> None:
    downloads = "\n".join(
        f"- `hf download nvidia/{FOLDER} --revision diffusers/controlnet/general/{released} --local-dir "
        f"models/diffusers/{FOLDER}/controlnet_{released}`"
        for released in RELEASED.values()
    )
    canvas.note(
        f"""# Cosmos-Transfer2.5 2B

The method on NVIDIA's Cosmos-Transfer2.5 with edges, depth and segmentation at once, loaded in diffusers' layout.

**Files** (accept the licence on the model's page first; run these in ComfyUI's folder)
- `hf download nvidia/{FOLDER} --revision diffusers/general --local-dir models/diffusers/{FOLDER}`
{downloads}

About 23 GiB; every branch goes into its own folder beside *transformer*. NVIDIA's licence asks for a guardrail where \
the model is used: this pack has none, so bring your own.

**Memory** *Load Video Model* prints a plan before it loads. *weights* `fp8` (the same in all four loaders) is for \
graphics cards of 16 GB, `bf16` for 24 GB and more (estimated, not measured).

**First** choose your clip in *Load Video*, and write what it shows into the two prompts. The first {WINDOW} frames \
are used at {WIDTH}x{HEIGHT}; for a shorter clip set *length* to 1 plus a multiple of 4. In *Structure Maps* choose a \
depth and a segmentation model; without them those two controls stay out.

**Change then**
- *weight* of a Condition Stack: weights that sum to more than 1 are divided by their sum.
- *cfg*: lower keeps more of the clip. On inverted noise begin with 1 to 3, higher with *conflict_damping* only; \
NVIDIA's guidance 3 from random noise is 4 here.
- Split Sigmas Denoise after the noise levels keeps more of the clip.

**From random noise**, as released: KSamplerSelect *euler* in the place of DDIM Invert's sampler, RandomNoise in the \
place of its noise, *cfg* 4, and the noise levels as they come from KarrasScheduler.

**Time** a graphics card is needed: two passes of 35 steps, the second with two prompts.""",
        (470, 800),
    )
    canvas.group("Clip", 300)
    video = canvas.node("LoadVideo", "Load Video", tall=300, file="drive.mp4")
    parts = canvas.node("GetVideoComponents", "Get Video Components", tall=110, video=video)
    size = {"width": WIDTH, "height": HEIGHT, "upscale_method": "area", "crop": "center"}
    scaled = canvas.node("ImageScale", "Upscale Image", image=parts["images"], **size)
    frames = canvas.node("ImageFromBatch", f"Take {WINDOW} frames", image=scaled, batch_index=0, length=WINDOW)
    maps = canvas.node("VideoRealismStructureMaps", "Structure Maps", report=4, frames=frames)
    canvas.group("Model", 370)
    model = canvas.node("VideoRealismLoadVideoModel", "Load Video Model", report=14, model=FOLDER)
    kind = "VideoRealismLoadControlBranch"
    branches = {name: canvas.node(kind, f"Control branch: {name}", modality=name, model=FOLDER) for name in ALL}
    canvas.group("Prompts", 370, below="Clip")
    told = {
        name: Output(canvas.node("CLIPTextEncode", f"Prompt: {name}", tall=190, clip=model["clip"], text=text), 0)
        for name, text in TEXTS.items()
    }
    canvas.group("Control", 310)
    for count, name in enumerate(ALL, start=1):
        wires = {**told, "control_net": branches[name], "map": maps[name]}
        stack = canvas.node(
            "VideoRealismControlNetStack", f"Condition Stack: {name}", report=count + 2, **wires, weight=WEIGHTS[name]
        )
        told = {text: stack[text] for text in told}
    canvas.group("Inversion", 300)
    latent = canvas.node("VAEEncode", "VAE Encode", pixels=frames, vae=model["vae"])
    grid = {"sigma_max": 200.0, "sigma_min": 0.01, "rho": 7.0}
    levels = canvas.node("KarrasScheduler", "Noise levels (steps + 1)", steps=36, **grid)
    found = inverted(canvas, model["model"], told, latent, levels)
    canvas.group("Sampling", 300, below="Inversion")
    guide = guider(canvas, model["model"], told, cfg=3.0)
    result = sample(canvas, "SamplerCustomAdvanced", found["noise"], guide, found["sampler"], found["sigmas"], latent)
    enhanced = canvas.node("VAEDecode", "VAE Decode", samples=result, vae=model["vae"])
    canvas.group("Result", 640)
    compared(canvas, "cosmos_transfer25", {"source": frames, "enhanced": enhanced, "edges": maps["edge"]})
    canvas.column(430)
    measured(canvas, "Video Metrics", frames, enhanced, critic=False)
    saved_video(canvas, enhanced, parts["fps"], "cosmos_transfer25", parts["audio"], tall=400)
