"""Wan 2.1 VACE and Wan 2.2 Fun-Control, by their own control inputs."""

from __future__ import annotations

from graphs.canvas import Canvas, Node, Output
from graphs.full_size import Clip, begin, finish, model_preset, own_control, prompted
from graphs.parts import MAPS


def wan21_vace(canvas: Canvas) -> None:
    clip = begin(canvas, "wan21_vace", (350, 800), frames=81, height=480, width=832, made_for="wan")
    model = canvas.node("UNETLoader", "Load Diffusion Model", unet_name="wan2.1_vace_1.3B_fp16.safetensors")
    _wan(canvas, "wan21_vace", clip, model, dict.fromkeys(MAPS, 0.5))


def wan22_fun_control(canvas: Canvas) -> None:
    clip = begin(canvas, "wan22_fun_control", (350, 800), frames=81, height=480, width=832, made_for="wan")
    experts = {}
    for part in ("high", "low"):
        file = f"wan2.2_fun_control_{part}_noise_14B_fp8_scaled.safetensors"
        title = f"Load Diffusion Model: {part} noise"
        experts[f"{part}_noise"] = canvas.node("UNETLoader", title, unet_name=file)
    model = canvas.node("VideoRealismTwoExperts", "Two-Expert Model", **experts, boundary=0.875)
    _wan(canvas, "wan22_fun_control", clip, model, {"edge": 1.0})


def _wan(canvas: Canvas, name: str, clip: Clip, model: Node, weights: dict[str, float]) -> None:
    """Wan's text encoder and VAE, the prompts, and what follows them."""
    text = canvas.node("CLIPLoader", "Load CLIP", clip_name="umt5_xxl_fp8_e4m3fn_scaled.safetensors", type="wan")
    vae = canvas.node("VAELoader", "Load VAE", vae_name="wan_2.1_vae.safetensors")
    networks = own_control(canvas, model, tuple(weights))
    conditions = prompted(canvas, Output(text, 0))
    levels = model_preset(model)
    finish(canvas, name, clip, model, vae, conditions, networks, weights, levels, cfg=3.0, maps_in_latents=True)


GRAPHS = (wan21_vace, wan22_fun_control)
