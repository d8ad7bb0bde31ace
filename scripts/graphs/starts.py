"""Where the noise comes from: calibrated noise by itself, and the three starts side by side."""

from __future__ import annotations

from graphs.canvas import Canvas
from graphs.parts import (
    alternative,
    calibrated,
    compared,
    decode,
    demo_conditions,
    demo_result,
    encode,
    inverted,
    note,
    sample,
    saved_video,
    shared_start,
)


def calibrated_sdedit(canvas: Canvas) -> None:
    note(canvas, "calibrated_sdedit", (350, 560))
    source, twin, model, conditions = demo_conditions(canvas, inversion=False)
    canvas.group("Noise", 300)
    latent = encode(canvas, source["frames"], model["vae"])
    random, sigmas, guide = shared_start(canvas, model, conditions)
    canvas.group("Calibrate and sample", 320)
    noise = calibrated(canvas, random, guide, latent, sigmas)
    solver = canvas.node("KSamplerSelect", "KSamplerSelect", sampler_name="dpmpp_2m")
    result = sample(canvas, noise["noise"], guide, solver, sigmas, latent)
    enhanced = decode(canvas, result, model["vae"])
    canvas.group("Result", 380)
    demo_result(canvas, "calibrated_sdedit", source, enhanced, twin)


def starts_compared(canvas: Canvas) -> None:
    note(canvas, "starts_compared", (350, 560))
    source, twin, model, conditions = demo_conditions(canvas)
    canvas.group("What the three share", 300)
    latent = encode(canvas, source["frames"], model["vae"])
    random, sigmas, guide = shared_start(canvas, model, conditions)
    solver = canvas.node("KSamplerSelect", "KSamplerSelect", sampler_name="dpmpp_2m")
    results = {}

    def finish(name: str, *wires) -> None:
        results[name] = alternative(canvas, name, (*wires, latent), model, source, twin)

    canvas.group("1 Inverted", 310)
    inversion = inverted(canvas, model["model"], conditions, latent, sigmas)
    finish("inverted", inversion["noise"], guide, inversion["sampler"], inversion["sigmas"])
    canvas.group("2 Calibrated", 310, below="1 Inverted")
    noise = calibrated(canvas, random, guide, latent, sigmas)
    finish("calibrated", noise["noise"], guide, solver, sigmas)
    canvas.group("3 Random", 310, below="2 Calibrated")
    finish("random", random, guide, solver, sigmas)
    canvas.group("Result", 640)
    compare = compared(canvas, "starts_compared", results)
    saved_video(canvas, compare["side by side"], source["fps"], "starts_compared")


GRAPHS = (calibrated_sdedit, starts_compared)
