"""Edits by instruction in ComfyUI are the core's: the node, and the guider with the clip beside the model's state."""

import shutil

import pytest
import torch
from comfy_server import RunError
from embedded_scene import CELLS, SIGMAS, Scene, clip, draw, values

from pipeline_core.diffusion import VE
from pipeline_core.enhance import enhance
from pipeline_core.job.settings import edit_settings
from pipeline_core.models.folders.loading import EMBEDDED_EDIT, load_video_model

NIGHT, SCALES = "a street at night", {"video_scale": 1.3, "text_scale": 2.0}


@pytest.fixture(scope="module")
def name(server, model_folder, edit_model_folder):
    """The model's name in the menus; the folder it shares parts with stands beside it."""
    root = server.base / "models" / "diffusers" / "edits"
    for folder in (model_folder, edit_model_folder):
        shutil.copytree(folder, root / folder.name)
    return f"edits/{edit_model_folder.name}"


@pytest.fixture(scope="module")
def core(edit_model_folder):
    return lambda precision: load_video_model(edit_model_folder, precision=precision)


def edited(scene, frames, model, **changes):
    inputs = {"instruction": NIGHT, **SCALES, "seed": 3, "steps": 2, "detail": 0.0, **changes}
    # Along the motion takes scikit-image, which not every server has; an inversion takes more steps than two.
    inputs["settings"] = "handover = mean\nstart = noise"
    return scene.add("VideoRealismEditVideo", frames=scene.tensor(frames), model=model, **inputs)


@pytest.mark.parametrize("frames", [5, 7])
def test_edit_video_gives_the_frames_of_the_core(server, name, core, frames):
    scene = Scene(server)
    node = edited(scene, clip(6, frames), name)
    shown = scene.add("VRTestImageFile", image=node)
    found = values(server.run(scene), shown)
    values_of_core = {"video_scale": 1.3, "cfg": 2.0, "seed": 3, "steps": 2, "detail": 0.0, "handover": "mean"}
    values_of_core["start"] = "noise"
    model = core("auto")
    wanted, _ = enhance(clip(6, frames), model, edit_settings(NIGHT, model.preset, values_of_core))
    off, edit = (float((other - wanted).abs().mean()) for other in (found, clip(6, frames)))
    assert off < 0.01 < 0.05 < edit  # random weights make much of what bfloat16 rounds


def test_the_guider_reads_the_clip_where_the_conditioning_has_it(server, name, core):
    scene = Scene(server)
    loaded = scene.add("VideoRealismLoadVideoModel", model=name, precision="fp32")
    asked, empty = (scene.add("CLIPTextEncode", clip=loaded[1], text=text) for text in (NIGHT, ""))
    source = scene.tensor(clip(6))
    shown = scene.add("InstructPixToPixConditioning", positive=asked, negative=empty, vae=loaded[2], pixels=source)
    branches = {"video_text": shown[0], "video": shown[1], "uncond": empty}
    guider = scene.add("VideoRealismVideoTextGuider", model=loaded[0], **branches, **SCALES)
    x0, noise = draw(1, 1, 4, *CELLS), draw(2, 1, 4, *CELLS)
    done = scene.add(
        "SamplerCustomAdvanced",
        noise=scene.tensor(noise)[2],
        guider=guider,
        sampler=scene.add("VRTestAskAtSigmas"),
        sigmas=scene.tensor(torch.tensor([*SIGMAS, 0.0]))[3],
        latent_image=scene.tensor(x0)[1],
    )
    saved = scene.add("VRTestSaveTensor", value=done)
    found = values(server.run(scene), saved).split(1)
    model = core("fp32")
    texts = {branch: model.encode_text([NIGHT if branch == "vt" else ""]) for branch in ("vt", "v", "uncond")}
    predict = model.predictor(texts, {}, {}, VE, source=model.encode(clip(6)))
    for answer, sigma in zip(found, SIGMAS):
        vt, v, u = predict(x0 + sigma * noise, sigma, ["vt", "v", "uncond"])
        assert torch.allclose(answer, u + 1.3 * (v - u) + 2.0 * (vt - v), rtol=1e-3, atol=1e-3)
        assert (v - u).abs().max() > 1e-2


def test_what_cannot_be_edited_is_said_in_a_sentence(server, name):
    scene = Scene(server)
    scene.add("VRTestStatistics", value=edited(scene, clip(6, 5), name, instruction=" "))
    with pytest.raises(RunError, match="instruction is empty"):
        server.run(scene)
    if not EMBEDDED_EDIT.is_dir():
        scene = Scene(server)
        scene.add("VRTestStatistics", value=edited(scene, clip(6, 5), "embedded_edit"))
        with pytest.raises(RunError, match="is not there .* a git checkout of this pack has it"):
            server.run(scene)
    combo = server.get("/object_info/VideoRealismEditVideo")["VideoRealismEditVideo"]["input"]["required"]["model"]
    offered = combo[1]["options"] if combo[0] == "COMBO" else combo[0]
    assert offered[0] == "embedded_edit" and name in offered and "embedded" not in offered


def test_a_clip_of_another_size_than_the_latent_is_refused(server, name):
    scene = Scene(server)
    loaded = scene.add("VideoRealismLoadVideoModel", model=name, precision="fp32")
    empty = scene.add("CLIPTextEncode", clip=loaded[1], text="")
    source = scene.tensor(clip(6, 5))
    shown = scene.add("InstructPixToPixConditioning", positive=empty, negative=empty, vae=loaded[2], pixels=source)
    scene.model, scene.prompts = loaded[0], [shown[0], shown[1]]
    scene.add("VRTestStatistics", value=scene.ksampler(scene.tensor(draw(1, 1, 4, *CELLS))[1]))
    with pytest.raises(RunError, match="make both of one clip with InstructPixToPixConditioning"):
        server.run(scene)
