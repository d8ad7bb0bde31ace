"""Both passes in one node, and what the guiders do with one and the same start."""

from __future__ import annotations

from graphs.canvas import Canvas, Node, Output
from graphs.parts import (
    PRESET,
    WIDE,
    alternative,
    alternatives_result,
    decode,
    demo_conditions,
    demo_result,
    encode,
    inverted,
    note,
    preset_levels,
)


def dual_prompt_sampler(canvas: Canvas) -> None:
    note(canvas, "dual_prompt_sampler", (WIDE, 400))
    source, twin, model, conditions = demo_conditions(canvas)
    latent = encode(canvas, source["frames"], model["vae"])
    wires = {**conditions, "model": model["model"], "latent": latent, "sigmas": preset_levels(canvas)}
    canvas.group("Both passes", 320)
    result = canvas.node(
        "VideoRealismDualPromptSampler", "Dual-Prompt CFG Sampler", report=5, cfg=PRESET["cfg"], **wires
    )
    enhanced = decode(canvas, result["latent"], model["vae"])
    demo_result(canvas, "dual_prompt_sampler", source, enhanced, twin)


def guiders_compared(canvas: Canvas) -> None:
    note(canvas, "guiders_compared", (WIDE, 420))
    source, twin, model, conditions = demo_conditions(canvas)
    about = "The same inverted noise, sampled with each of three guiders."
    takes = {**{name: model[name] for name in ("model", "clip", "vae")}, "frames": source["frames"], **conditions}
    with canvas.subgraph("Three guiders", about, 300, **takes) as box:
        plain = Output(canvas.node("CLIPTextEncode", "Prompt: empty, no controls", clip=model["clip"], text=""), 0)
        latent = encode(canvas, source["frames"], model["vae"])
        levels = preset_levels(canvas)
        canvas.column(310)
        inversion = inverted(canvas, model["model"], conditions, latent, levels)

        def finish(name: str, guide: Node, shown: str) -> None:
            wires = (inversion["noise"], guide, inversion["sampler"], inversion["sigmas"], latent)
            box.gives[name] = alternative(canvas, name, wires, model["vae"])
            box.shows[shown] = (guide, shown)

        both = {"model": model["model"], "positive": conditions["positive"], "negative": conditions["negative"]}
        canvas.column(310)
        guide = canvas.node("VideoRealismDualPromptGuider", "Dual-Prompt CFG Guider", cfg=1.5, **both)
        finish("dual-prompt", guide, "cfg")
        canvas.column(310)
        away = {"cfg": 1.0, "weight": 0.3, "rescale": 1.0, "low": 0.25}
        away["reference_lora"] = "simdrop_reference (embedded)"
        finish("SimDrop", canvas.node("VideoRealismSimDropGuider", "SimDrop Guider", **both, **away), "weight")
        canvas.column(310)
        three = {"video_text": conditions["positive"], "video": conditions["negative"], "uncond": plain}
        scales = {"video_scale": 1.0, "text_scale": 1.5}
        guide = canvas.node("VideoRealismVideoTextGuider", "Video+Text Guider", model=model["model"], **three, **scales)
        finish("video and text", guide, "text_scale")
    alternatives_result(canvas, "guiders_compared", box.gives, source, twin)


GRAPHS = (dual_prompt_sampler, guiders_compared)
