"""The workflows for clips longer than the model's window: in one sampler, by the model itself, from file to file."""

from __future__ import annotations

from workflow_canvas import Canvas
from workflow_parts import (
    PRESET,
    WINDOW,
    compared,
    control_stacks,
    drive,
    guider,
    inverted,
    measured,
    noise_levels,
    prompts,
    sample,
    saved_video,
    video_model,
)

LENGTH = 3 * WINDOW - 2  # four windows
CUT = {"window": WINDOW, "overlap": PRESET["overlap"], "temporal_ratio": PRESET["temporal_ratio"]}
OWN_CLIP = """**Your own clip:** replace Demo Drive by the group *Clip* of *realism_video_file*, without *Take 17 \
frames*, and choose a length that the VAE takes: 1 plus a multiple of 4."""


def long_video_sampler(canvas: Canvas) -> None:
    canvas.note(
        f"""# A long clip through one sampler

The model sees {WINDOW} frames at a time; this clip has {LENGTH}. **Long Video Sampler** takes the whole clip's \
latent, cuts it into windows by itself and gives the whole latent back. It stands where SamplerCustomAdvanced stands, \
and with the prompt *inversion* connected it is DDIM Invert as well. It shows windows and cost before it starts.

The maps are of the whole clip: every window is given its own frames of them.

**Change first**
- *frames* in both Demo Drives: any length of 1 plus a multiple of 4.
- *handover*: how windows go on from each other. *fused* lets all of them predict together at every step, *none* only \
crossfades, *mean* and *motion* (connect *source*) pass the shared frames on.
- *overlap*: more hides the seams better and costs more.

**Other starts:** disconnect *inversion* and connect any *noise* and any *sampler*, such as RandomNoise or Noise \
Calibrate and KSamplerSelect.

{OWN_CLIP}

**Time** about two minutes on one CPU core.""",
        (420, 560),
    )
    canvas.group("Clip", 300)
    source = drive(canvas, "Demo Drive: source", LENGTH)
    twin = drive(canvas, "Demo Drive: photoreal twin", LENGTH, "photoreal.day")
    model, branches = video_model(canvas, below="Clip")
    told = control_stacks(canvas, prompts(canvas, model, source["description"]), branches, source)
    canvas.group("Sampling", 320)
    latent = canvas.node("VAEEncode", "VAE Encode", pixels=source["frames"], vae=model["vae"])
    levels = noise_levels(canvas)
    guide = guider(canvas, model["model"], {"positive": told["positive"], "negative": told["negative"]})
    wires = {"guider": guide, "latent": latent, "sigmas": levels, "inversion": told["inversion"]}
    result = canvas.node("VideoRealismLongVideoSampler", "Long Video Sampler", tall=690, **wires, **CUT)
    frames = canvas.node("VAEDecode", "VAE Decode", samples=result["latent"], vae=model["vae"])
    canvas.group("Result", 640)
    clips = {"source": source["frames"], "enhanced": frames, "photoreal twin": twin["frames"]}
    shown = compared(canvas, "long_video_sampler", clips)
    canvas.column(430)
    measured(canvas, "Video Metrics", *clips.values())
    saved_video(canvas, shown["side by side"], source["fps"], "long_video_sampler")


def windowed_model(canvas: Canvas) -> None:
    canvas.note(
        f"""# Any node, any length

**Windowed Model** makes the model itself take clips of any length: whenever it is asked for a prediction, it looks at \
the clip window by window ({WINDOW} frames) and puts the answers together. Everything else stays as it is: this is the \
graph of *realism_demo*, with {LENGTH} frames and one node more.

The maps are of the whole clip: every window is given its own frames of them.

**Change first**
- *frames* in both Demo Drives: any length of 1 plus a multiple of 4.
- the sampling: KSampler, Noise Calibrate, any guider and sampler take the same model.
- *handover*: *fused* averages the windows at every step; *mean* and *motion* (connect *source*) correct each by the \
one before it.

{OWN_CLIP}

**Time** about two minutes on one CPU core.""",
        (420, 460),
    )
    canvas.group("Clip", 300)
    source = drive(canvas, "Demo Drive: source", LENGTH)
    twin = drive(canvas, "Demo Drive: photoreal twin", LENGTH, "photoreal.day")
    model, branches = video_model(canvas, below="Clip")
    told = control_stacks(canvas, prompts(canvas, model, source["description"]), branches, source)
    canvas.group("Inversion", 300)
    any_length = canvas.node("VideoRealismWindowedModel", "Windowed Model", model=model["model"], **CUT)
    latent = canvas.node("VAEEncode", "VAE Encode", pixels=source["frames"], vae=model["vae"])
    found = inverted(canvas, any_length, told, latent, noise_levels(canvas))
    canvas.group("Sampling", 300, below="Inversion")
    guide = guider(canvas, any_length, told)
    result = sample(canvas, "SamplerCustomAdvanced", found["noise"], guide, found["sampler"], found["sigmas"], latent)
    frames = canvas.node("VAEDecode", "VAE Decode", samples=result, vae=model["vae"])
    canvas.group("Result", 640)
    clips = {"source": source["frames"], "enhanced": frames, "photoreal twin": twin["frames"]}
    shown = compared(canvas, "windowed_model", clips)
    canvas.column(430)
    measured(canvas, "Video Metrics", *clips.values())
    saved_video(canvas, shown["side by side"], source["fps"], "windowed_model")


def enhance_video_file(canvas: Canvas) -> None:
    canvas.note(
        """# A video file of any length

**Enhance Video File** reads, enhances and writes a few frames at a time: memory does not grow with the clip. It does \
what *enhance_one_node* does, from file to file.

**First** choose your clip. Where a simulator's buffers lie beside it in a folder NAME_buffers, they are used; \
`python -m pipeline_core render` writes such clips.

**Stopped?** Finished windows are kept beside the result. After a cancel, a crash or a restart press **Run** again \
with the same settings: it goes on from there, and the report says how many windows were taken over.

**Change first**
- *realism*: how far towards filmed; *faithfulness*: how near to the source. 0.5 and 0.5 are the model's own settings.
- *prompt*: how the result should look, such as `a dashcam video at night`. Empty is a sunny day.

The result is in the output folder, with as many frames and the rate and size of the clip; its sound is not kept. \
*source* and *enhanced* are 16 frames of both for a look.

**Time** about two seconds a frame on one CPU core.""",
        (420, 430),
    )
    canvas.group("Enhance", 520)
    made = canvas.node("VideoRealismEnhanceVideoFile", "Enhance Video File", report=10, tall=880, video="drive.mp4")
    canvas.group("A look at it", 640)
    compared(canvas, "enhance_video_file", {"source": made["source"], "enhanced": made["enhanced"]}, sheet=300)


GRAPHS = (long_video_sampler, windowed_model, enhance_video_file)
