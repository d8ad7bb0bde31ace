"""Load Video Model and Load Control Branch: native nodes compute what the core computes.

To the bit where the server has this interpreter's torch; else, on the embedded model, within ROUNDINGS of the type it
computes in. Threads and instruction sets moved it by up to 20."""

import json
import shutil

import numpy as np
import pytest
import torch
from comfy_server import RunError
from embedded_scene import CELLS, FRAMES, MAPS, MODALITIES, PROMPTS, SIGMAS, SIZE, Scene, clip, draw, values
from rounding import roundings

from pipeline_core.diffusion import VE, sample
from pipeline_core.models import load_video_model
from pipeline_core.models.folders.loading import EMBEDDED
from pipeline_core.models.folders.precision import bf16_failure
from pipeline_core.models.networks.grid import token_grid_weights

ROUNDINGS = 64
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
no_bf16 = pytest.mark.skipif(bf16_failure(torch.device("cpu")) != "", reason="torch does not carry out bfloat16 here")
PRECISIONS = ["fp32", pytest.param("bf16", marks=no_bf16)]


@pytest.fixture(scope="module")
def core():
    """The command line's model, in the precision asked for; on one thread, as the server runs."""
    models, threads = {}, torch.get_num_threads()
    torch.set_num_threads(1)
    yield lambda precision: models.setdefault(precision, load_video_model(precision=precision))
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def check(server):
    """check(found, wanted, precision): the server's tensor is the core's."""
    same_torch = server.get("/system_stats")["system"]["pytorch_version"] == torch.__version__

    def check(found, wanted, precision):
        assert torch.equal(found, wanted) if same_torch else roundings(found, wanted, TYPES[precision]) < ROUNDINGS

    return check


def guided(predict, x0, noise, sigma, cfg=3.0):
    positive, negative = predict(x0 + np.float32(sigma) * noise, sigma, ["positive", "negative"])
    return negative + cfg * (positive - negative)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_vae_and_text_are_the_cores(server, core, check, precision):
    scene, model, frames = Scene(server, precision), core(precision), clip(7)
    encoded = scene.add("VAEEncode", vae=scene.vae, pixels=scene.tensor(frames))
    decoded = scene.add("VAEDecode", vae=scene.vae, samples=encoded)
    latent, text = (scene.add("VRTestSaveTensor", value=value) for value in (encoded, scene.prompts[0]))
    pixels = scene.add("VRTestImageFile", image=decoded)
    outputs = server.run(scene)
    wanted = model.encode(frames)
    check(values(outputs, latent), wanted, precision)
    check(values(outputs, pixels), model.decode(wanted), precision)
    check(values(outputs, text), model.encode_text(PROMPTS[:1]), precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_predictions_with_three_controls_are_the_cores_in_one_forward_each(server, core, check, precision):
    model, x0, noise = core(precision), draw(1, 1, 48, *CELLS), draw(2, 1, 48, *CELLS)
    mask = torch.rand(FRAMES, *SIZE, generator=torch.Generator().manual_seed(4))
    scene = Scene(server, precision)
    scene.control("edge", strength=0.5)
    scene.control("depth", mask=mask, vae=scene.vae)
    scene.control("segmentation", strength=1.5)
    found, sizes = scene.predictions(x0, noise)
    assert sizes == [2, 2, 2]
    # One by one, as two nodes encode them: to the bit only the same shapes agree.
    texts = {name: model.encode_text([text]) for name, text in zip(("positive", "negative"), PROMPTS)}
    hints = {name: model.encode_hint(MAPS[name]) for name in MODALITIES}
    predict = model.predictor(texts, hints, {"edge": 0.5, "depth": mask, "segmentation": 1.5}, VE)
    for sigma, answer in zip(SIGMAS, found):
        check(answer, guided(predict, x0, noise, sigma), precision)


def test_a_whole_sampling_run_gives_the_cores_frames(server, core):
    model, scene, noise = core("fp32"), Scene(server), draw(5, 1, 48, *CELLS)
    for modality in MODALITIES:
        scene.control(modality, strength=1 / 3)
    grid = scene.add("KarrasScheduler", steps=7, sigma_max=80.0, sigma_min=0.02, rho=7.0)
    sigmas = scene.add("SplitSigmas", sigmas=grid, step=6)
    euler = scene.add("KSamplerSelect", sampler_name="euler")
    latent = scene.custom(scene.empty(), scene.add("RandomNoise", noise_seed=5)[0], sigmas, euler, cfg=1.0)
    pixels = scene.add("VRTestImageFile", image=scene.add("VAEDecode", vae=scene.vae, samples=latent))
    found = values(server.run(scene), pixels)

    texts = {"positive": model.encode_text(PROMPTS[:1])}
    hints = {name: model.encode_hint(MAPS[name]) for name in MODALITIES}
    predict = model.predictor(texts, hints, dict.fromkeys(MODALITIES, 1 / 3), VE)
    ramp = torch.linspace(0, 1, 7, dtype=torch.float64)
    levels = (80.0 ** (1 / 7) + ramp * (0.02 ** (1 / 7) - 80.0 ** (1 / 7))) ** 7
    wanted = model.decode(sample(lambda x, sigma: predict(x, sigma, ["positive"])[0], noise, levels, VE, solver="ddim"))
    assert (found - wanted).abs().max() < 1e-5


def test_range_and_strength_gate_a_control(server):
    x0, noise = draw(1, 1, 48, *CELLS), draw(2, 1, 48, *CELLS)
    plain = Scene(server).predictions(x0, noise)[0]
    # Half of the way from 80 to 0.02 on the log scale is 1.26: the sigma 80 lies before it, 1 and 0.05 after.
    for options, acts in (
        (dict(end=0.5), [True, False, False]),
        (dict(start=0.5), [False, True, True]),
        (dict(strength=0.0), [False, False, False]),
        (dict(mask=torch.zeros(1, *SIZE)), [False, False, False]),
    ):
        scene = Scene(server)
        scene.control("segmentation", **options)
        found, _ = scene.predictions(x0, noise)
        assert [not torch.equal(a, b) for a, b in zip(found, plain)] == acts, options


def test_context_windows_see_their_part_of_the_map_and_mask(server, core):
    frames, cells = 25, (7, 4, 6)
    model, x0, noise = core("fp32"), draw(1, 1, 48, *cells), draw(2, 1, 48, *cells)
    map, mask = clip(8, frames), torch.linspace(0, 1, frames)[:, None, None].expand(frames, *SIZE).contiguous()
    scene = Scene(server)
    scene.control("depth", map=map, mask=mask)
    options = dict(context_length=4, context_overlap=1, context_schedule="standard_static", context_stride=1)
    options |= dict(closed_loop=False, fuse_method="flat", dim=2)
    newer = dict(freenoise=False, cond_retain_index_list="", latent_retain_index_list="")
    newer |= dict(split_conds_to_windows=False, causal_window_fix=False)
    known = server.get("/object_info/ContextWindowsManual")["ContextWindowsManual"]["input"]["required"]
    options |= {name: value for name, value in newer.items() if name in known}
    scene.model = scene.add("ContextWindowsManual", model=scene.model, **options)[0]
    found, _ = scene.predictions(x0, noise, cfg=1.0)

    hint, text = model.encode_hint(map), model.encode_text(PROMPTS[:1])
    weight = token_grid_weights(mask, cells, (1, 2, 2))
    for sigma, answer in zip(SIGMAS, found):
        x, total, count = x0 + np.float32(sigma) * noise, torch.zeros_like(x0), torch.zeros(1, 1, 7, 1, 1)
        for window in ([0, 1, 2, 3], [3, 4, 5, 6]):
            part = model.predictor({"p": text}, {"depth": hint[:, :, window]}, {"depth": weight[window]}, VE)
            total[:, :, window] += part(x[:, :, window], sigma, ["p"])[0]
            count[:, :, window] += 1
        torch.testing.assert_close(answer, total / count, atol=1e-5, rtol=0)


def test_a_single_frame_map_stands_for_all_frames(server):
    hashes = []
    for map in (clip(4, 1), clip(4, 1).expand(FRAMES, -1, -1, -1).contiguous()):
        scene = Scene(server)
        scene.control("edge", map=map)
        node = scene.add("VRTestStatistics", value=scene.ksampler(scene.empty(), steps=1))
        hashes.append(json.loads(server.run(scene)[node]["text"][0])["sha256"])
    assert hashes[0] == hashes[1]


def test_a_map_of_another_size_is_stretched_to_the_latent(server, core):
    model, x0, noise = core("fp32"), draw(1, 1, 48, *CELLS), draw(2, 1, 48, *CELLS)
    coarse = clip(3).round()
    scene = Scene(server)
    scene.control("segmentation", map=coarse.repeat_interleave(2, 1).repeat_interleave(3, 2))
    found, _ = scene.predictions(x0, noise)
    texts = dict(zip(("positive", "negative"), model.encode_text(PROMPTS).split(1)))
    predict = model.predictor(texts, {"segmentation": model.encode_hint(coarse)}, {"segmentation": 1.0}, VE)
    torch.testing.assert_close(found[1], guided(predict, x0, noise, SIGMAS[1]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("scheduler", ["karras", "normal", "simple", "beta", "sgm_uniform", "exponential"])
def test_native_schedulers_stay_within_the_presets_levels(server, scheduler):
    scene = Scene(server)
    sigmas = scene.add("BasicScheduler", model=scene.model, scheduler=scheduler, steps=8, denoise=1.0)
    latent = scene.custom(
        scene.empty(), scene.add("RandomNoise", noise_seed=1)[0], sigmas, scene.add("VRTestAskAtSigmas")[0], cfg=1.0
    )
    shape = scene.add("VRTestStatistics", value=latent)
    found = json.loads(server.run(scene)[shape]["text"][0])
    assert found["finite"] and found["shape"] == [8, 48, *CELLS]
    assert 0.1 < found["std"] < 2


def test_native_conditioning_nodes_and_batches(server):
    scene = Scene(server)
    scene.control("edge")
    positive, negative = scene.prompts
    weighted = scene.add("CLIPTextEncode", clip=scene.clip, text="a (red:1.3) car [x] \\( " + "long " * 200)
    longer = scene.add("ConditioningConcat", conditioning_to=positive, conditioning_from=weighted)
    empty = scene.add("ConditioningZeroOut", conditioning=negative)
    height, width = SIZE
    two = scene.add("EmptyHunyuanLatentVideo", width=width, height=height, length=FRAMES, batch_size=2)
    latent = scene.ksampler(two[0], positive=longer, negative=empty)
    frames = scene.add("VRTestStatistics", value=scene.add("VAEDecode", vae=scene.vae, samples=latent))
    found = json.loads(server.run(scene)[frames]["text"][0])
    assert found["finite"] and found["shape"] == [2 * FRAMES, *SIZE, 3]


def wrong_map(scene, frames):
    scene.control("edge", map=clip(1, frames))
    return scene.ksampler(scene.empty())


def wrong_latent(scene, *shape):
    return scene.ksampler(scene.tensor(draw(1, *shape))[1])


def wrong_text(scene):
    other = scene.add("VRTestRandomConditioning", dim=32, tokens=8, seed=1, text=True)
    return scene.ksampler(scene.empty(), positive=other[0])


def wrong_mask(scene):
    scene.control("depth", mask=torch.ones(3, *SIZE))
    return scene.ksampler(scene.empty())


def foreign_control(scene):
    branch = scene.add("VRTestTinyControlNet", seed=1, text_dim=32)
    prompts = dict(zip(("positive", "negative"), scene.prompts))
    options = dict(image=scene.tensor(clip(1)), strength=1.0, start_percent=0.0, end_percent=1.0)
    scene.prompts = [scene.add("ControlNetApplyAdvanced", control_net=branch, **prompts, **options)[i] for i in (0, 1)]
    scene.control("edge")
    return scene.ksampler(scene.empty())


def foreign_model(scene):
    scene.model = scene.add("VRTestTinySD15", seed=1, text_dim=32, prediction="eps")[0]
    scene.prompts = [scene.add("VRTestRandomConditioning", dim=32, tokens=8, seed=1, text=True)[0]] * 2
    scene.control("edge", map=clip(1, 1))
    return scene.ksampler(scene.tensor(draw(1, 1, 4, 4, 6))[1])


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda s: wrong_map(s, 5), "The edge map has 5 frames and the latent stands for 9"),
        (lambda s: wrong_map(s, 8), "The edge map has 8 frames and the latent stands for 9"),
        (lambda s: wrong_latent(s, 1, 16, *CELLS), r"A latent of shape \(1, 16, 3, 4, 6\) came"),
        (lambda s: wrong_latent(s, 1, 4, 4, 6), r"A latent of shape \(1, 4, 1, 4, 6\) came"),
        (lambda s: wrong_latent(s, 1, 48, 3, 5, 6), "The latent is 3x5x6; give a clip"),
        (wrong_text, "text embeddings 32 wide came and this model reads 96"),
        (wrong_mask, "The weight mask has 3 frames and the depth map 9"),
        (foreign_control, "of another kind"),
        (foreign_model, "of another kind"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence(server, build, sentence):
    scene = Scene(server)
    scene.add("VRTestStatistics", value=build(scene))
    with pytest.raises(RunError, match=sentence) as refused:
        server.run(scene)
    assert "\n" not in refused.value.exception_message


def test_frames_and_latents_the_vae_cannot_take(server):
    for name, value in (("8 frames of 32x48", clip(1, 8)), ("9 frames of 36x48", clip(1, 9, (36, 48)))):
        scene = Scene(server)
        scene.add("VRTestStatistics", value=scene.add("VAEEncode", vae=scene.vae, pixels=scene.tensor(value)))
        with pytest.raises(RunError, match=f"pixels came as {name}"):
            server.run(scene)
    for shape in ((1, 16, *CELLS), (1, 48, 4, 6)):
        scene = Scene(server)
        latent = scene.tensor(draw(1, *shape))[1]
        scene.add("VRTestStatistics", value=scene.add("VAEDecode", vae=scene.vae, samples=latent))
        with pytest.raises(RunError, match="this VAE decodes"):
            server.run(scene)


def test_folders_under_models_diffusers_are_offered_if_they_are_cosmos_models(server):
    root = server.base / "models" / "diffusers"
    shutil.copytree(EMBEDDED, root / "mine" / "street")
    (root / "other").mkdir()
    (root / "other" / "model_index.json").write_text('{"unet": ["diffusers", "UNet2DConditionModel"]}')
    (root / "broken").mkdir()
    (root / "broken" / "model_index.json").write_text("{")
    for node in ("VideoRealismLoadVideoModel", "VideoRealismLoadControlBranch"):
        combo = server.get(f"/object_info/{node}")[node]["input"]["required"]["model"]
        offered = combo[1]["options"] if combo[0] == "COMBO" else combo[0]
        assert offered[0] == "embedded" and {"mine/street", "other", "broken"} & set(offered) == {"mine/street"}
    scene = Scene(server)
    scene["1"]["inputs"]["model"] = "../../../models/embedded"
    scene.add("VRTestStatistics", value=scene.ksampler(scene.empty()))
    with pytest.raises(RunError, match="not in list|was not found"):  # older cores leave combos to the node
        server.run(scene)
    scene = Scene(server)
    scene["1"]["inputs"]["model"] = "mine/street"
    scene.control("edge")
    next(n for n in scene.values() if n["class_type"].endswith("ControlBranch"))["inputs"]["model"] = "mine/street"
    shown = scene.add("VRTestStatistics", value=scene.ksampler(scene.empty()))
    assert json.loads(server.run(scene)[shown]["text"][0])["finite"]
