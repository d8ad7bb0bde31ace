"""LTX-Video with a control LoRA, its map beside the clip."""

from __future__ import annotations

from graphs.canvas import Canvas, Output
from graphs.full_size import begin, finish, model_preset, own_control, prompted


def ltx_ic_lora(canvas: Canvas) -> None:
    clip = begin(canvas, "ltx_ic_lora", (350, 800), frames=97, height=512, width=768, made_for="ltxv")
    loaded = canvas.node("CheckpointLoaderSimple", "Load Checkpoint", ckpt_name="ltxv-13b-0.9.7-dev-fp8.safetensors")
    lora = {"lora_name": "ltxv-097-ic-lora-canny-control-comfyui.safetensors", "strength_model": 1.0}
    model = canvas.node("LoraLoaderModelOnly", "Load LoRA", model=loaded, **lora)
    encoder = {"clip_name": "t5xxl_fp8_e4m3fn_scaled.safetensors", "type": "ltxv"}
    text = canvas.node("CLIPLoader", "Load CLIP", **encoder)
    weights = {"edge": 1.0}
    networks = own_control(canvas, model, tuple(weights))
    plain = prompted(canvas, Output(text, 0))
    about = "Tells the model the clip's frame rate."
    with canvas.subgraph("Frame rate", about, 300, fps=clip.parts["fps"], **plain) as box:
        rate = {"frame_rate": clip.parts["fps"], "negative": plain["negative"]}
        before = canvas.node("LTXVConditioning", "Frame rate: inversion", positive=plain["inversion"], **rate)
        timed = canvas.node("LTXVConditioning", "Frame rate: result", positive=plain["positive"], **rate)
        box.gives.update({"inversion": before["positive"], **{name: timed[name] for name in ("positive", "negative")}})
    conditions = dict(box.gives)
    finish(
        canvas,
        "ltx_ic_lora",
        clip,
        model,
        loaded["VAE"],
        conditions,
        networks,
        weights,
        model_preset(model),
        cfg=2.0,
        maps_in_latents=True,
    )


GRAPHS = (ltx_ic_lora,)
