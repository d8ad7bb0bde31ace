"""NVIDIA's full-size Cosmos-Transfer1 and Cosmos-Transfer2.5."""

from __future__ import annotations

from functools import partial

from graphs.canvas import Canvas, Node, Output
from graphs.full_size import begin, finish, prompted
from graphs.parts import (
    MAPS,
    control_branches,
    decode,
    encode,
    file_result,
    guider,
    karras_levels,
    mapped,
)

TRANSFER25_FOLDER = "Cosmos-Transfer2.5-2B"
TRANSFER25_WEIGHTS = {"edge": 0.1, "depth": 0.4, "segmentation": 0.5}  # NVIDIA's for driving
TRANSFER1_WINDOW, TRANSFER1_OVERLAP = 121, 9
TRANSFER1_FILES = {"edge": "edge", "depth": "depth", "segmentation": "seg"}
transfer1_levels = partial(karras_levels, steps=35, sigma_max=70.0, sigma_min=0.002, rho=7.0)
SIMULATOR = (
    "The video shows a driving simulator, computer graphics with flat shading and simple textures, a car driving "
    "through a city street."
)
# The release's own words, and what simulators look like to it.
TRANSFER1_TEXTS = {
    "inversion": SIMULATOR,
    "positive": "The video captures a stunning, photorealistic scene with remarkable attention to detail, giving it a "
    "lifelike appearance that is almost indistinguishable from reality. A dashcam view of a car driving through a city "
    "street on a clear sunny day, natural light.",
    "negative": "The video captures a game playing, with bad crappy graphics and cartoonish frames. It represents a "
    "recording of old outdated games. The lighting looks very fake. The textures are very raw and basic. The "
    "geometries are very primitive. The images are very pixelated and of poor CG quality. There are many subtitles in "
    "the footage. Overall, the video is unrealistic at all.",
}
TRANSFER25_TEXTS = {
    "inversion": SIMULATOR,
    "positive": "A photorealistic dashcam video of a car driving through a city street on a clear sunny day, filmed "
    "with a high-end camera in natural light, with fine detail on the road, the buildings and the cars.",
    "negative": "A video game with simple graphics: flat shading, hard fake light, plain textures, coarse geometry, "
    "cartoon-like and pixelated frames, flicker.",
}


def transfer1(canvas: Canvas) -> tuple[Node, Node, dict[str, Output], dict[str, Node]]:
    """Base, VAE, prompts, and the control branches by name."""
    model = canvas.node("UNETLoader", "Load Diffusion Model", unet_name="cosmos_transfer1_base.safetensors")
    encoder = {"clip_name": "oldt5_xxl_fp8_e4m3fn_scaled.safetensors", "type": "cosmos"}
    text_encoder = canvas.node("CLIPLoader", "Load CLIP", **encoder)
    vae = canvas.node("VAELoader", "Load VAE", vae_name="cosmos_cv8x8x8_1.0.safetensors")
    kind = "VideoRealismLoadTransfer1Control"
    controls = {}
    for name, short in TRANSFER1_FILES.items():
        file = f"cosmos_transfer1_{short}_control.safetensors"
        controls[name] = canvas.node(kind, f"Control: {name}", report=2, control_file=file)
    conditions = prompted(canvas, text_encoder, TRANSFER1_TEXTS)
    return model, vae, conditions, controls


def cosmos_transfer1(canvas: Canvas) -> None:
    name = "cosmos_transfer1"
    clip = begin(canvas, name, (350, 920), frames=TRANSFER1_WINDOW, height=704, width=1280, made_for=name)
    model, vae, conditions, controls = transfer1(canvas)
    weights = dict.fromkeys(MAPS, 0.5)
    finish(
        canvas,
        name,
        clip,
        model,
        vae,
        conditions,
        controls,
        weights,
        transfer1_levels,
        cfg=3.0,
        maps_in_latents=True,
    )


def cosmos_transfer1_long(canvas: Canvas) -> None:
    """More frames than one pass: windows inside the sampler, each going on from the one before."""
    name, family = "cosmos_transfer1_long", "cosmos_transfer1"
    window = {"window": TRANSFER1_WINDOW, "overlap": TRANSFER1_OVERLAP, "temporal_ratio": 8}
    length = 3 * TRANSFER1_WINDOW - 2 * TRANSFER1_OVERLAP
    numbers = {"frames": length, "height": 704, "width": 1280, "window": TRANSFER1_WINDOW, "length": length}
    clip = begin(canvas, name, (350, 1000), made_for=family, **numbers)
    model, vae, conditions, controls = transfer1(canvas)
    conditions, edges = mapped(canvas, conditions, clip.maps, controls, dict.fromkeys(MAPS, 0.5), vae=vae)
    about = "Finds the noise of every window and samples one after the other; what they share is handed over."
    takes = {"model": model, "vae": vae, "frames": clip.frames, **conditions}
    with canvas.subgraph("Sample in windows", about, 300, **takes) as box:
        latent = encode(canvas, clip.frames, vae)
        levels = transfer1_levels(canvas)
        inversion = conditions.pop("inversion")
        guide = guider(canvas, model, conditions, cfg=3.0)
        canvas.column(320)
        wires = {"guider": guide, "latent": latent, "sigmas": levels, "inversion": inversion}
        title, kind = "Long Video Sampler", "VideoRealismLongVideoSampler"
        result = canvas.node(kind, title, tall=690, **wires, **window, handover="mean")
        canvas.column(260)
        box.gives["frames"] = Output(decode(canvas, result["latent"], vae), 0)
        box.shows.update({"cfg": (guide, "cfg"), "overlap": (result, "overlap"), "handover": (result, "handover")})
    clips = {"source": clip.frames, "enhanced": box.gives["frames"], "edges": edges}
    file_result(canvas, name, clip.parts, clips)


def cosmos_transfer25(canvas: Canvas) -> None:
    clip = begin(
        canvas, "cosmos_transfer25", (350, 1080), frames=93, height=704, width=1280, made_for="cosmos_transfer25"
    )
    folder = {"model": TRANSFER25_FOLDER}
    model = canvas.node("VideoRealismLoadVideoModel", "Load Video Model", report=14, **folder)
    branches = control_branches(canvas, **folder)
    conditions = prompted(canvas, model["clip"], TRANSFER25_TEXTS)
    levels = partial(karras_levels, steps=35, sigma_max=200.0, sigma_min=0.01, rho=7.0)
    finish(
        canvas,
        "cosmos_transfer25",
        clip,
        model["model"],
        model["vae"],
        conditions,
        branches,
        TRANSFER25_WEIGHTS,
        levels,
        cfg=3.0,
    )


GRAPHS = (cosmos_transfer1, cosmos_transfer1_long, cosmos_transfer25)
