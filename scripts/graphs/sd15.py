"""Stable Diffusion 1.5 with its ControlNets, frame by frame."""

from __future__ import annotations

from graphs.canvas import Canvas
from graphs.full_size import begin, finish, model_preset, prompted

FILES = {"edge": "control_v11p_sd15_canny_fp16", "depth": "control_v11f1p_sd15_depth_fp16"}


def sd15_controlnet(canvas: Canvas) -> None:
    clip = begin(canvas, "sd15_controlnet", (350, 760), frames=16, height=512, width=768, made_for="sd15")
    model = canvas.node("CheckpointLoaderSimple", "Load Checkpoint", ckpt_name="v1-5-pruned-emaonly-fp16.safetensors")
    networks = {
        name: canvas.node("ControlNetLoader", f"Load ControlNet: {name}", control_net_name=f"{file}.safetensors")
        for name, file in FILES.items()
    }
    conditions = prompted(canvas, model["CLIP"])
    weights, levels = dict.fromkeys(FILES, 0.5), model_preset(model)
    finish(canvas, "sd15_controlnet", clip, model, model["VAE"], conditions, networks, weights, levels, cfg=3.0)


GRAPHS = (sd15_controlnet,)
