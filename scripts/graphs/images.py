"""Noise calibration on pictures, as in its paper (2407.10285): strokes become a photograph, a soft one is refined.

As published: noise of step 600 of 1000 over a painting and 300 over a picture that is refined, 30 steps of which those
below it are taken, one to three rounds.
"""

from __future__ import annotations

from graphs.canvas import Canvas, Node, Output
from graphs.parts import compared, decode, encode, file_clip, guider, note, prompts, sample

CHECKPOINT = "v1-5-pruned-emaonly-fp16.safetensors"
PICTURES, HEIGHT, WIDTH, STEPS = 5, 512, 768, 30
NEGATIVE = "painting, drawing, flat colours, blurry, low quality"


def stroke_painting(canvas: Canvas) -> None:
    stills = begin(canvas, "stroke_painting", (350, 830))
    blurred = canvas.node("ImageBlur", "Blur", image=stills, blur_radius=15, sigma=0.6)
    strokes = canvas.node("ImageQuantize", "Few colours", image=blurred, colors=12, dither="none")
    texts = {"positive": "a photograph of a city street, seen from a car, sharp, natural light", "negative": NEGATIVE}
    photographs = calibrated_picture(canvas, strokes, texts, denoise=0.6, rounds=3, nu=0.5)
    result(canvas, "stroke_painting", {"strokes": strokes, "photograph": photographs})


def image_refiner(canvas: Canvas) -> None:
    stills = begin(canvas, "image_refiner", (350, 790))
    soft = canvas.node("ImageBlur", "Blur", image=stills, blur_radius=4, sigma=0.5)
    texts = {"positive": "a photograph of a city street, sharp, highly detailed", "negative": NEGATIVE}
    refined = calibrated_picture(canvas, soft, texts, denoise=0.3, rounds=1, nu=0.5)
    result(canvas, "image_refiner", {"soft": soft, "refined": refined})


def begin(canvas: Canvas, name: str, size: tuple[int, int]) -> Node:
    """The note, the group "Clip" with some frames of a video file, then the group "Pictures" to prepare them in."""
    note(canvas, name, size, window=PICTURES, height=HEIGHT, width=WIDTH)
    _, _, stills = file_clip(canvas, PICTURES, HEIGHT, WIDTH)
    canvas.group("Pictures", 280)
    return stills


def calibrated_picture(
    canvas: Canvas, pictures: Node, texts: dict[str, str], denoise: float, rounds: int, nu: float
) -> Output:
    """The groups "Model" and "Sampling": pictures under noise of this share of all steps, which is calibrated first."""
    canvas.group("Model", 320)
    model = canvas.node("CheckpointLoaderSimple", "Load Checkpoint", ckpt_name=CHECKPOINT)
    conditions = prompts(canvas, model["CLIP"], texts)
    canvas.group("Sampling", 300)
    about = "Puts random noise over the clip, corrects it until the model sees the clip's layout, and samples from it."
    takes = {"model": model, "vae": model["VAE"], "frames": pictures, **conditions}
    with canvas.subgraph("Calibrate and sample", about, 300, **takes) as box:
        latent = encode(canvas, pictures, model["VAE"])
        random = canvas.node("RandomNoise", "RandomNoise", noise_seed=1)
        # Of the schedule that is even in the step's number, so many of STEPS begin at step 1000 x denoise.
        steps = {"scheduler": "simple", "steps": round(STEPS * denoise), "denoise": denoise}
        sigmas = canvas.node("BasicScheduler", "BasicScheduler", model=model, **steps)
        guide = guider(canvas, Output(model, 0), conditions, cfg=7.0)
        canvas.column(300)
        wires = {"noise": random, "guider": guide, "latent": latent, "sigmas": sigmas}
        noise = canvas.node("VideoRealismNoiseCalibrate", "Noise Calibrate", report=6, rounds=rounds, nu=nu, **wires)
        canvas.column(300)
        solver = canvas.node("KSamplerSelect", "KSamplerSelect", sampler_name="ddim")
        sampled = sample(canvas, noise["noise"], guide, solver, Output(sigmas, 0), latent)
        box.gives["frames"] = Output(decode(canvas, sampled, model["VAE"]), 0)
        box.shows.update({"denoise": (sigmas, "denoise"), "cfg": (guide, "cfg"), "nu": (noise, "nu")})
    return box.gives["frames"]


def result(canvas: Canvas, name: str, pictures: dict[str, Node | Output]) -> None:
    """The group "Result": compared, and what came out saved picture by picture."""
    canvas.group("Result", 330)
    compared(canvas, name, pictures)
    canvas.node("SaveImage", "Save Image", tall=260, images=list(pictures.values())[-1], filename_prefix=name)


GRAPHS = (stroke_painting, image_refiner)
