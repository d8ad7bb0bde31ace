"""The workflows of ComfyUI's own models: Wan VACE, Wan Fun-Control, LTX-Video with an IC-LoRA, SD1.5 ControlNets."""

from __future__ import annotations

from workflow_canvas import Canvas, Node, Output
from workflow_parts import ALL, compared, guider, inverted, measured, sample, saved_video

TEXTS = {
    "inversion": "a driving simulator, computer graphics, flat shading, a city street",
    "positive": "a photorealistic dashcam video of a city street on a clear sunny day, natural light, fine detail",
    "negative": "computer graphics, video game, cartoon, flat shading, oversaturated, blurry",
}
FIRST = """**First** choose your clip in *Load Video*, and write what it shows into the two prompts. The clip's first \
{frames} frames are used at {width}x{height}; for a shorter clip set *length* to {rule}."""
CHANGE = """**Change then**
- *strength* in Model Preset: 1 changes most; 0.8 stays nearer to the clip. Its report says what the model was \
released with.
- *weight* of a Condition Stack: how firmly the map holds.
- *cfg*: 1 is off; high values undo what the inversion kept."""
WAN_FILES = """- `models/text_encoders/umt5_xxl_fp8_e4m3fn_scaled.safetensors`
- `models/vae/wan_2.1_vae.safetensors`"""


def wan21_vace(canvas: Canvas) -> None:
    frames, height, width = 81, 480, 832
    canvas.note(
        f"""# Wan 2.1 VACE

The same method on ComfyUI's own Wan 2.1 VACE. *Model Control* makes the model's own control input usable like a \
ControlNet, so that edges, depth and segmentation go in together, each with its weight.

**Files** (from Comfy-Org's repackaged Wan 2.1)
- `models/diffusion_models/wan2.1_vace_1.3B_fp16.safetensors`
{WAN_FILES}

{FIRST.format(frames=frames, width=width, height=height, rule="1 plus a multiple of 4")} In *Structure Maps* choose a \
depth and a segmentation model; without them those two maps stay out.

{CHANGE}

**Wan 2.2 VACE-Fun** has two models: load both, join them with *Two-Expert Model* as in *wan22_fun_control* and \
connect the result in the place of *Load Diffusion Model*.

**Longer clips:** *Chunk Plan* and *Chunk Stitcher* as in *long_clip*, or ComfyUI's *Context Windows* on the model: \
every window gets its own part of each map.

**Time** a graphics card is needed; two passes of 20 steps, the second with two prompts.""",
        (420, 660),
    )
    clip, maps = _clip(canvas, frames, height, width, "wan")
    canvas.group("Model", 370)
    model = canvas.node("UNETLoader", "Load Diffusion Model", unet_name="wan2.1_vace_1.3B_fp16.safetensors")
    told, vae = _wan_text(canvas, "Model")
    _finish(canvas, "wan21_vace", clip, maps, model, vae, told, dict.fromkeys(ALL, 0.5), cfg=3.0)


def wan22_fun_control(canvas: Canvas) -> None:
    frames, height, width = 81, 480, 832
    canvas.note(
        f"""# Wan 2.2 Fun-Control

Wan 2.2 has one model for the high noise levels and one for the low. **Two-Expert Model** joins them, so that the \
inversion walks up through both and sampling comes down the same way; only the one at work is loaded. \
**Model Control** feeds the map into the model's own control input.

**Files** (from Comfy-Org's repackaged Wan 2.2 and 2.1)
- `models/diffusion_models/wan2.2_fun_control_high_noise_14B_fp8_scaled.safetensors`
- `models/diffusion_models/wan2.2_fun_control_low_noise_14B_fp8_scaled.safetensors`
{WAN_FILES}

{FIRST.format(frames=frames, width=width, height=height, rule="1 plus a multiple of 4")}

{CHANGE}
- *depth_model* in Structure Maps, and its *depth* output as *map*: depth holds less detail than edges and leaves \
textures freer. Fun-Control follows one control video; several maps are blended in it by their weights.

Lightning LoRAs for few steps belong between a loader and Two-Expert Model, one for each expert; inversion itself \
needs the full steps.

**Time** a graphics card is needed; two passes of 20 steps, the second with two prompts.""",
        (420, 660),
    )
    clip, maps = _clip(canvas, frames, height, width, "wan")
    canvas.group("Model", 370)
    experts = {
        f"{part}_noise": canvas.node(
            "UNETLoader",
            f"Load Diffusion Model: {part} noise",
            unet_name=f"wan2.2_fun_control_{part}_noise_14B_fp8_scaled.safetensors",
        )
        for part in ("high", "low")
    }
    model = canvas.node("VideoRealismTwoExperts", "Two-Expert Model", **experts, boundary=0.875)
    told, vae = _wan_text(canvas, "Model")
    _finish(canvas, "wan22_fun_control", clip, maps, model, vae, told, {"edge": 1.0}, cfg=3.0)


def ltx_ic_lora(canvas: Canvas) -> None:
    frames, height, width = 97, 512, 768
    canvas.note(
        f"""# LTX-Video with an IC-LoRA

LTX-Video's control LoRAs read a map as guide frames beside the clip. **Model Control** shows them to the network at \
every step and takes them off its answer again, so that the clip alone is inverted and sampled. (The native \
*LTXVAddGuide* makes them part of the latent instead, which an inversion would have to invert as well.)

**Files** (from Lightricks; the LoRA in its -comfyui form)
- `models/checkpoints/ltxv-13b-0.9.7-dev-fp8.safetensors`
- `models/loras/ltxv-097-ic-lora-canny-control-comfyui.safetensors`
- `models/text_encoders/t5xxl_fp8_e4m3fn_scaled.safetensors`

{FIRST.format(frames=frames, width=width, height=height, rule="1 plus a multiple of 8")}

{CHANGE}
- the depth LoRA with *depth* as *map*, after choosing a *depth_model* in Structure Maps. A LoRA reads one kind of \
map only.

*weight* is how clean the guide is: 1 as the LoRA was trained, lower lets it be overruled. The frame rate goes into \
both *Frame rate* nodes by itself.

**Time** a graphics card is needed; two passes of 30 steps over twice the frames, the second with two prompts.""",
        (420, 660),
    )
    clip, maps = _clip(canvas, frames, height, width, "ltxv")
    canvas.group("Model", 370)
    loaded = canvas.node("CheckpointLoaderSimple", "Load Checkpoint", ckpt_name="ltxv-13b-0.9.7-dev-fp8.safetensors")
    lora = {"lora_name": "ltxv-097-ic-lora-canny-control-comfyui.safetensors", "strength_model": 1.0}
    model = canvas.node("LoraLoaderModelOnly", "Load LoRA", model=loaded, **lora)
    encoder = {"clip_name": "t5xxl_fp8_e4m3fn_scaled.safetensors", "type": "ltxv"}
    text = canvas.node("CLIPLoader", "Load CLIP", **encoder)
    told = _prompts(canvas, Output(text, 0), below="Model")
    rate = {"frame_rate": clip["parts"]["fps"], "negative": told["negative"]}
    timed = canvas.node("LTXVConditioning", "Frame rate", positive=told["positive"], **rate)
    before = canvas.node("LTXVConditioning", "Frame rate: inversion", positive=told["inversion"], **rate)
    told = {"inversion": before["positive"], "positive": timed["positive"], "negative": timed["negative"]}
    _finish(canvas, "ltx_ic_lora", clip, maps, model, loaded["VAE"], told, {"edge": 1.0}, cfg=2.0)


def sd15_controlnet(canvas: Canvas) -> None:
    frames, height, width = 16, 512, 768
    canvas.note(
        f"""# Stable Diffusion 1.5 with ControlNets

The method on an image model, frame by frame, with its own ControlNets: every frame is inverted and sampled under the \
same prompts, and what neighbouring frames share comes along in their inverted noise.

**Files**
- `models/checkpoints/v1-5-pruned-emaonly-fp16.safetensors` (Comfy-Org's stable-diffusion-v1-5-archive)
- `models/controlnet/control_v11p_sd15_canny_fp16.safetensors` and \
`models/controlnet/control_v11f1p_sd15_depth_fp16.safetensors` (comfyanonymous' ControlNet-v1-1_fp16_safetensors)

{FIRST.format(frames=frames, width=width, height=height, rule="any number")} In *Structure Maps* choose a depth \
model; without one that map stays out.

{CHANGE}

**AnimateDiff** makes the frames attend to each other. ComfyUI itself has no motion modules: with the \
ComfyUI-AnimateDiff-Evolved pack put its loader between *Load Checkpoint* and everything that takes the model (not \
tried here). ComfyUI's own context windows get their frames of every map.

**Time** a graphics card is better; two passes of 20 steps, the second with two prompts.""",
        (420, 620),
    )
    clip, maps = _clip(canvas, frames, height, width, "sd15")
    canvas.group("Model", 370)
    model = canvas.node("CheckpointLoaderSimple", "Load Checkpoint", ckpt_name="v1-5-pruned-emaonly-fp16.safetensors")
    files = {"edge": "control_v11p_sd15_canny_fp16", "depth": "control_v11f1p_sd15_depth_fp16"}
    nets = {
        name: canvas.node("ControlNetLoader", f"Load ControlNet: {name}", control_net_name=f"{file}.safetensors")
        for name, file in files.items()
    }
    told = _prompts(canvas, model["CLIP"], below="Model")
    weights = dict.fromkeys(files, 0.5)
    _finish(canvas, "sd15_controlnet", clip, maps, model, model["VAE"], told, weights, cfg=3.0, nets=nets)


GRAPHS = [wan21_vace, wan22_fun_control, ltx_ic_lora, sd15_controlnet]


def _clip(canvas: Canvas, length: int, height: int, width: int, made_for: str) -> tuple[dict[str, Node], Node]:
    """The group "Clip": {"parts": of the video file, "frames": cut to size}, and its maps, made for a family."""
    canvas.group("Clip", 300)
    video = canvas.node("LoadVideo", "Load Video", tall=300, file="drive.mp4")
    parts = canvas.node("GetVideoComponents", "Get Video Components", tall=110, video=video)
    size = {"width": width, "height": height, "upscale_method": "area", "crop": "center"}
    scaled = canvas.node("ImageScale", "Upscale Image", image=parts["images"], **size)
    frames = canvas.node("ImageFromBatch", f"Take {length} frames", image=scaled, batch_index=0, length=length)
    maps = canvas.node("VideoRealismStructureMaps", "Structure Maps", report=4, frames=frames, made_for=made_for)
    return {"parts": parts, "frames": frames}, maps


def _prompts(canvas: Canvas, text_encoder: Output, below: str) -> dict[str, Output]:
    canvas.group("Prompts", 370, below=below)
    return {
        name: Output(canvas.node("CLIPTextEncode", f"Prompt: {name}", tall=150, clip=text_encoder, text=text), 0)
        for name, text in TEXTS.items()
    }


def _wan_text(canvas: Canvas, below: str) -> tuple[dict[str, Output], Node]:
    """The text encoder and the VAE of Wan, and the prompts."""
    text = canvas.node("CLIPLoader", "Load CLIP", clip_name="umt5_xxl_fp8_e4m3fn_scaled.safetensors", type="wan")
    vae = canvas.node("VAELoader", "Load VAE", vae_name="wan_2.1_vae.safetensors")
    return _prompts(canvas, Output(text, 0), below), vae


def _finish(
    canvas: Canvas,
    name: str,
    clip: dict[str, Node],
    maps: Node,
    model: Node,
    vae: Node | Output,
    told: dict[str, Output],
    weights: dict[str, float],
    cfg: float,
    nets: dict[str, Node] | None = None,
) -> None:
    """Control, inversion, sampling, result. weights: of the maps; nets: their networks, or the model's own control."""
    frames, parts = clip["frames"], clip["parts"]
    canvas.group("Control", 310)
    own = None if nets else canvas.node("VideoRealismModelControl", "Model Control", report=3, model=model)
    for count, (kind, weight) in enumerate(weights.items(), start=1):
        wires = {**told, "control_net": nets[kind] if nets else own, "map": maps[kind]}
        wires |= {} if nets else {"vae": vae}
        stack = canvas.node(
            "VideoRealismControlNetStack", f"Condition Stack: {kind}", report=count + 2, **wires, weight=weight
        )
        told = {text: stack[text] for text in told}
    canvas.group("Inversion", 300)
    latent = canvas.node("VAEEncode", "VAE Encode", pixels=frames, vae=vae)
    preset = canvas.node("VideoRealismModelPreset", "Model Preset", report=6, model=model)
    found = inverted(canvas, model, told, latent, preset["sigmas"])
    canvas.group("Sampling", 300, below="Inversion")
    guide = guider(canvas, model, told, cfg=cfg)
    result = sample(canvas, "SamplerCustomAdvanced", found["noise"], guide, found["sampler"], found["sigmas"], latent)
    enhanced = canvas.node("VAEDecode", "VAE Decode", samples=result, vae=vae)
    canvas.group("Result", 640)
    compared(canvas, name, {"source": frames, "enhanced": enhanced, "edges": maps["edge"]})
    canvas.column(430)
    measured(canvas, "Video Metrics", frames, enhanced, critic=False)
    saved_video(canvas, enhanced, parts["fps"], name, parts["audio"], tall=400)
