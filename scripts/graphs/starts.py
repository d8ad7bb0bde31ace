"""Where the noise comes from: calibrated noise by itself, and the three starts side by side."""

from __future__ import annotations

from graphs.canvas import Canvas, Node, Output
from graphs.parts import (
    WIDE,
    alternative,
    alternatives_result,
    calibrated,
    decode,
    demo_conditions,
    demo_result,
    encode,
    inverted,
    note,
    sample,
    shared_start,
)


def calibrated_sdedit(canvas: Canvas) -> None:
    note(canvas, "calibrated_sdedit", (WIDE, 400))
    source, twin, model, conditions = demo_conditions(canvas, inversion=False)
    about = "Puts random noise over the clip, corrects it until the model sees the clip's layout, and samples from it."
    takes = {"model": model["model"], "vae": model["vae"], "frames": source["frames"], **conditions}
    with canvas.subgraph("Calibrate and sample", about, 300, **takes) as box:
        latent = encode(canvas, source["frames"], model["vae"])
        random, sigmas, guide = shared_start(canvas, model, conditions)
        canvas.column(300)
        noise = calibrated(canvas, random, guide, latent, sigmas)
        canvas.column(300)
        result = sample(canvas, noise["noise"], guide, plain_solver(canvas), sigmas, latent)
        box.gives["frames"] = Output(decode(canvas, result, model["vae"]), 0)
        box.shows.update({"denoise": (sigmas.node, "denoise"), "cfg": (guide, "cfg")})
        box.shows.update({name: (noise, name) for name in ("nu", "low")})
    demo_result(canvas, "calibrated_sdedit", source, box.gives["frames"], twin)


def starts_compared(canvas: Canvas) -> None:
    note(canvas, "starts_compared", (WIDE, 380))
    source, twin, model, conditions = demo_conditions(canvas)
    about = "The same clip, prompts, maps, guider and noise levels; only where the noise comes from differs."
    takes = {"model": model["model"], "vae": model["vae"], "frames": source["frames"], **conditions}
    with canvas.subgraph("Three starts", about, 300, **takes) as box:
        latent = encode(canvas, source["frames"], model["vae"])
        random, sigmas, guide = shared_start(canvas, model, conditions)
        solver = plain_solver(canvas)

        def finish(name: str, *wires) -> None:
            box.gives[name] = alternative(canvas, name, (*wires, latent), model["vae"])

        canvas.column(310)
        inversion = inverted(canvas, model["model"], conditions, latent, sigmas)
        finish("inverted", inversion["noise"], guide, inversion["sampler"], inversion["sigmas"])
        canvas.column(310)
        noise = calibrated(canvas, random, guide, latent, sigmas)
        finish("calibrated", noise["noise"], guide, solver, sigmas)
        canvas.column(310)
        finish("random", random, guide, solver, sigmas)
        box.shows.update({"denoise": (sigmas.node, "denoise"), "cfg": (guide, "cfg")})
    alternatives_result(canvas, "starts_compared", box.gives, source, twin)


def plain_solver(canvas: Canvas) -> Node:
    return canvas.node("KSamplerSelect", "KSamplerSelect", sampler_name="dpmpp_2m")


GRAPHS = (calibrated_sdedit, starts_compared)
