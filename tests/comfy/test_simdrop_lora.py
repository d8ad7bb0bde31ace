"""SimDrop Guider's reference by a LoRA: the core's own, hooked to one condition; what does not fit is refused."""

import pytest
import torch
from comfy_server import RunError
from embedded_scene import CELLS, MAPS, PROMPTS, SIGMAS, Scene, draw, values

from pipeline_core.diffusion import CFG, VE, SimDrop, guided
from pipeline_core.models import load_video_model
from pipeline_core.models.folders.loading import SIMDROP_REFERENCE
from pipeline_core.models.folders.lora import NAME, Lora

LORA = "simdrop_reference (embedded)"
FORM = dict(cfg=2.0, weight=0.5, cap=0.3, start_percent=0.0, end_percent=1.0)


def guider(scene, **inputs):
    wires = dict(zip(("positive", "negative"), scene.prompts), model=scene.model)
    return scene.add("VideoRealismSimDropGuider", **wires, **FORM, **inputs)


def test_the_shipped_lora_answers_the_reference_alone(server):
    x0, noise = draw(1, 1, 48, *CELLS), draw(2, 1, 48, *CELLS)
    scene = Scene(server)
    scene.control("edge")
    guide = guider(scene, reference_lora=LORA, rescale=0.5, low=0.25)
    sampling = dict(noise=scene.tensor(noise)[2], guider=guide, sampler=scene.add("VRTestAskAtSigmas"))
    levels = scene.tensor(torch.tensor([*SIGMAS, 0.0]))[3]
    answer = scene.add("SamplerCustomAdvanced", **sampling, sigmas=levels, latent_image=scene.tensor(x0)[1])
    saved = scene.add("VRTestSaveTensor", value=answer)
    found = values(server.run(scene), saved).split(1)
    model = load_video_model(precision="fp32", reference=Lora(SIMDROP_REFERENCE / NAME))
    texts = dict(zip(("positive", "negative"), model.encode_text(PROMPTS).split(1)))
    hints = {"edge": model.encode_hint(MAPS["edge"])}
    predict = model.predictor(texts | {"reference": texts["positive"]}, hints, {"edge": 1.0}, VE)
    denoise = guided(predict, SimDrop(CFG(2.0), 0.5, 0.3, rescale=0.5, low=0.25))
    plain = guided(predict, CFG(2.0))
    for sigma, answer in zip(SIGMAS, found, strict=True):
        wanted = denoise(x0 + sigma * noise, sigma)
        assert (answer - wanted).norm() < 1e-4 * wanted.norm()
        pushed = (plain(x0 + sigma * noise, sigma) - wanted).norm() / wanted.norm()
        assert sigma < 1 or pushed > 1e-3  # hardly anything is left to push at the end


def test_what_is_no_reference_of_the_model_is_one_sentence(server):
    scene = Scene(server)
    scene.add("PreviewAny", source=guider(scene))
    with pytest.raises(RunError, match="or choose reference_lora"):
        server.run(scene)
    scene = Scene(server)
    scene.model = scene.add("VRTestTinyWan", seed=3, text_dim=32)
    scene.add("PreviewAny", source=guider(scene, reference_lora=LORA))
    with pytest.raises(RunError, match="but the model is another one"):
        server.run(scene)
