"""The workflow of the full-size Cosmos-Transfer1."""

from __future__ import annotations

from workflow_canvas import Canvas, Output
from workflow_parts import ALL, compared, guider, inverted, measured, sample, saved_video

WINDOW, HEIGHT, WIDTH = 121, 704, 1280
FILES = {"edge": "edge", "depth": "depth", "segmentation": "seg"}
# The release's own words, and what simulators look like to it.
TEXTS = {
    "inversion": "The video shows a driving simulator, computer graphics with flat shading and simple textures, a car "
    "driving through a city street.",
    "positive": "The video captures a stunning, photorealistic scene with remarkable attention to detail, giving it a "
    "lifelike appearance that is almost indistinguishable from reality. A dashcam view of a car driving through a city "
    "street on a clear sunny day, natural light.",
    "negative": "The video captures a game playing, with bad crappy graphics and cartoonish frames. It represents a "
    "recording of old outdated games. The lighting looks very fake. The textures are very raw and basic. The "
    "geometries are very primitive. The images are very pixelated and of poor CG quality. There are many subtitles in "
    "the footage. Overall, the video is unrealistic at all.",
}


def cosmos_transfer1(canvas: Canvas) -> None:
    canvas.note(
        f"""# Cosmos-Transfer1 7B

The method on the model of its paper: NVIDIA's Cosmos-Transfer1 with edges, depth and segmentation, inverted and \
sampled by ComfyUI's own Cosmos network.

**Files**
- `base_model.pt`, `edge_control.pt`, `depth_control.pt`, `seg_control.pt` from nvidia/Cosmos-Transfer1-7B, each \
converted once in the folder of this pack:
`python -m pipeline_core convert edge_control.pt -o .../models/controlnet/cosmos_transfer1_edge_control.safetensors`
- `models/diffusion_models/cosmos_transfer1_base.safetensors` (base_model)
- `models/controlnet/cosmos_transfer1_edge_control.safetensors`, `..._depth_...`, `..._seg_...`
- `models/text_encoders/oldt5_xxl_fp8_e4m3fn_scaled.safetensors` and \
`models/vae/cosmos_cv8x8x8_1.0.safetensors` from comfyanonymous/cosmos_1.0_text_encoder_and_VAE_ComfyUI

**First** choose your clip in *Load Video*, and write what it shows into the two prompts. The first {WINDOW} \
frames are used at {WIDTH}x{HEIGHT}; for a shorter clip set *length* to 1 plus a multiple of 8. In *Structure Maps* \
choose a depth and a segmentation model; without them those two controls stay out.

**Change then**
- *weight* of a Condition Stack: weights that sum to more than 1 are divided by their sum, as in the release.
- *cfg*: lower keeps more of the clip. On inverted noise begin with 1 to 3, higher with *conflict_damping* only; \
NVIDIA's guidance 7 from random noise is 8 here.
- *sigma_max*: 70 changes most; with the noise levels cut by Split Sigmas Denoise more of the clip stays.

**From random noise**, as released: KSamplerSelect *res_multistep* in the place of DDIM Invert's sampler, \
RandomNoise in the place of its noise, *cfg* 8, and the noise levels as they come from KarrasScheduler.

**Time** a graphics card is needed: two passes of 35 steps, the second with two prompts.""",
        (440, 720),
    )
    canvas.group("Clip", 300)
    video = canvas.node("LoadVideo", "Load Video", tall=300, file="drive.mp4")
    parts = canvas.node("GetVideoComponents", "Get Video Components", tall=110, video=video)
    size = {"width": WIDTH, "height": HEIGHT, "upscale_method": "area", "crop": "center"}
    scaled = canvas.node("ImageScale", "Upscale Image", image=parts["images"], **size)
    frames = canvas.node("ImageFromBatch", f"Take {WINDOW} frames", image=scaled, batch_index=0, length=WINDOW)
    maps = canvas.node("VideoRealismStructureMaps", "Structure Maps", report=4, frames=frames)
    canvas.group("Model", 370)
    model = canvas.node("UNETLoader", "Load Diffusion Model", unet_name="cosmos_transfer1_base.safetensors")
    text_encoder = {"clip_name": "oldt5_xxl_fp8_e4m3fn_scaled.safetensors", "type": "cosmos"}
    clip = canvas.node("CLIPLoader", "Load CLIP", **text_encoder)
    vae = canvas.node("VAELoader", "Load VAE", vae_name="cosmos_cv8x8x8_1.0.safetensors")
    kind = "VideoRealismLoadTransfer1Control"
    branches = {
        name: canvas.node(
            kind, f"Control: {name}", report=2, control_file=f"cosmos_transfer1_{FILES[name]}_control.safetensors"
        )
        for name in ALL
    }
    canvas.group("Prompts", 370, below="Clip")
    told = {
        name: Output(canvas.node("CLIPTextEncode", f"Prompt: {name}", tall=190, clip=clip, text=text), 0)
        for name, text in TEXTS.items()
    }
    canvas.group("Control", 310)
    for count, name in enumerate(ALL, start=1):
        wires = {**told, "control_net": branches[name], "map": maps[name], "vae": vae}
        stack = canvas.node(
            "VideoRealismControlNetStack", f"Condition Stack: {name}", report=count + 2, **wires, weight=0.5
        )
        told = {text: stack[text] for text in told}
    canvas.group("Inversion", 300)
    latent = canvas.node("VAEEncode", "VAE Encode", pixels=frames, vae=vae)
    grid = {"sigma_max": 70.0, "sigma_min": 0.002, "rho": 7.0}
    levels = canvas.node("KarrasScheduler", "Noise levels (steps + 1)", steps=36, **grid)
    found = inverted(canvas, model, told, latent, levels)
    canvas.group("Sampling", 300, below="Inversion")
    guide = guider(canvas, model, told, cfg=3.0)
    result = sample(canvas, "SamplerCustomAdvanced", found["noise"], guide, found["sampler"], found["sigmas"], latent)
    enhanced = canvas.node("VAEDecode", "VAE Decode", samples=result, vae=vae)
    canvas.group("Result", 640)
    compared(canvas, "cosmos_transfer1", {"source": frames, "enhanced": enhanced, "edges": maps["edge"]})
    canvas.column(430)
    measured(canvas, "Video Metrics", frames, enhanced, critic=False)
    saved_video(canvas, enhanced, parts["fps"], "cosmos_transfer1", parts["audio"], tall=400)
