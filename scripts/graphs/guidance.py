"""Both passes in one node, and what the guiders do with one and the same start."""

from __future__ import annotations

from graphs.canvas import Canvas, Node, Output
from graphs.parts import (
    PRESET,
    alternative,
    compared,
    decode,
    demo_conditions,
    demo_result,
    encode,
    inverted,
    note,
    preset_levels,
    saved_video,
)


def dual_prompt_sampler(canvas: Canvas) -> None:
    note(canvas, "dual_prompt_sampler", (350, 540))
    source, twin, model, conditions = demo_conditions(canvas)
    canvas.group("Both passes", 320)
    latent = encode(canvas, source["frames"], model["vae"])
    wires = {**conditions, "model": model["model"], "latent": latent, "sigmas": preset_levels(canvas)}
    result = canvas.node(
        "VideoRealismDualPromptSampler", "Dual-Prompt CFG Sampler", report=5, cfg=PRESET["cfg"], **wires
    )
    enhanced = decode(canvas, result["latent"], model["vae"])
    canvas.group("Result", 380)
    demo_result(canvas, "dual_prompt_sampler", source, enhanced, twin)


def guiders_compared(canvas: Canvas) -> None:
    note(canvas, "guiders_compared", (350, 680))
    source, twin, model, conditions = demo_conditions(canvas)
    canvas.group("What the three share", 320)
    plain = Output(canvas.node("CLIPTextEncode", "Prompt: empty, no controls", clip=model["clip"], text=""), 0)
    latent = encode(canvas, source["frames"], model["vae"])
    inversion = inverted(canvas, model["model"], conditions, latent, preset_levels(canvas))
    results = {}

    def finish(name: str, guide: Node) -> None:
        wires = (inversion["noise"], guide, inversion["sampler"], inversion["sigmas"], latent)
        results[name] = alternative(canvas, name, wires, model, source, twin)

    both = {"model": model["model"], "positive": conditions["positive"], "negative": conditions["negative"]}
    canvas.group("1 Dual-Prompt", 310)
    finish("dual-prompt", canvas.node("VideoRealismDualPromptGuider", "Dual-Prompt CFG Guider", cfg=1.5, **both))
    canvas.group("2 SimDrop", 310, below="1 Dual-Prompt")
    away = {"reference": conditions["inversion"], "cfg": 1.0, "weight": 0.5}
    finish("SimDrop", canvas.node("VideoRealismSimDropGuider", "SimDrop Guider", **both, **away))
    canvas.group("3 Video and text", 310, below="2 SimDrop")
    three = {"video_text": conditions["positive"], "video": conditions["negative"], "uncond": plain}
    scales = {"video_scale": 1.0, "text_scale": 1.5}
    guide = canvas.node("VideoRealismVideoTextGuider", "Video+Text Guider", model=model["model"], **three, **scales)
    finish("video and text", guide)
    canvas.group("Result", 640)
    compare = compared(canvas, "guiders_compared", results)
    saved_video(canvas, compare["side by side"], source["fps"], "guiders_compared")


GRAPHS = (dual_prompt_sampler, guiders_compared)
