"""Hold Colours on native models: what is held comes back, elsewhere the core's own hold; inversions are left alone."""

import numpy as np
import pytest
import torch
from comfy_server import RunError
from embedded_scene import CELLS, SIGMAS, Scene, draw
from tiny_graphs import MODELS, dual_prompt, invert, sample, start, text_of

from pipeline_core.diffusion import latent_places
from pipeline_core.diffusion.hold import hold


def held(graph, model, source, mask, weight):
    return graph.add("VideoRealismHoldColours", model=model, source=source, mask=mask, weight=weight)


def whole(graph):
    """A mask that holds everything."""
    return graph.add("SolidMask", value=1.0, width=64, height=64)


@pytest.mark.parametrize("name", MODELS)
def test_a_clip_that_is_held_whole_comes_back_from_any_noise_and_sampler(server, name):
    """The steps stay where the hold acts: above sigma 1, flow time .5."""
    graph, model, (one, two, _), latent, _ = start(name)
    flow = name in ("wan", "vace")
    levels = torch.tensor([0.95, 0.8, 0.6, 0.0] if flow else [12.0, 5.0, 1.5, 0.0])
    np.save(server.base / "input" / f"levels_{flow}.npy", levels.numpy())
    sigmas = graph.add("VRTestTensorFile", name=f"levels_{flow}")[3]
    noise, euler = graph.add("RandomNoise", noise_seed=3), graph.add("KSamplerSelect", sampler_name="euler")
    errors = []
    for weight in (1.0, 0.0):
        patched = held(graph, model[0], latent, whole(graph), weight)
        native = graph.add("CFGGuider", model=patched, positive=one, negative=two, cfg=4.0)
        ours = dual_prompt(graph, patched, one, two, cfg=4.0)
        for guider in (native, ours):
            result = sample(graph, noise, guider, euler, sigmas, latent)
            errors.append(graph.add("VRTestCompareLatents", latent=result, reference=latent))
    outputs = server.run(graph)
    values = [float(text_of(outputs, error)) for error in errors]
    assert max(values[:2]) < 1e-5 and min(values[2:]) > 0.01


def test_places_are_held_as_the_core_holds_them(server):
    x0, noise = draw(1, 1, 48, *CELLS), draw(2, 1, 48, *CELLS)
    mask = torch.zeros(9, 32, 48)
    mask[3:6, 9:14, 20:30] = 1
    answers = []
    for weight in (0.0, 0.4):
        scene = Scene(server)
        scene.model = held(scene, scene.model, scene.tensor(x0)[1], scene.mask(mask), weight)
        answers.append(scene.predictions(x0, noise)[0])
    places = latent_places(mask, CELLS)
    assert 0 < places.mean() < 0.5
    for sigma, plain, found in zip(SIGMAS, *answers, strict=True):
        wanted = hold(plain, x0, places, 0.4) if sigma >= 1 else plain
        assert (found - wanted).norm() < 1e-4 * wanted.norm()
        assert sigma < 1 or (found - plain).norm() > 1e-3 * plain.norm()


@pytest.mark.parametrize("name", ["wan", "cosmos-edm", "sd15-eps"])
def test_an_inversion_on_a_held_model_is_the_models_own(server, name):
    graph, model, (text, *_), latent, sigmas = start(name)
    inverted = invert(graph, held(graph, model[0], latent, whole(graph), 0.4), text, latent, sigmas)
    guider = graph.add("BasicGuider", model=model, conditioning=text)
    back = sample(graph, inverted[0], guider, inverted[1], inverted[2], latent)
    error = graph.add("VRTestCompareLatents", latent=back, reference=latent)
    assert float(text_of(server.run(graph), error)) < 1e-4


def test_what_does_not_fit_is_one_sentence(server):
    def sentence(shape, mask_frames):
        scene = Scene(server)
        mask = scene.mask(torch.ones(mask_frames, 32, 48))
        scene.model = held(scene, scene.model, scene.tensor(draw(1, *shape))[1], mask, 0.4)
        with pytest.raises(RunError) as error:
            scene.predictions(draw(1, 1, 48, *CELLS), draw(2, 1, 48, *CELLS))
        return str(error.value)

    assert "connect the same latent to its source" in sentence((1, 48, 2, 4, 6), 5)
    assert "The mask has 2 frames for 3 latent frames" in sentence((1, 48, *CELLS), 2)
