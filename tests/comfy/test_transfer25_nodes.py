"""Cosmos-Transfer2.5 in ComfyUI equals diffusers' own pipeline after every step; what does not fit is refused."""

import hashlib
import json
import re
import shutil
import time

import numpy as np
import pytest
import tiny_transfer25
import torch
from comfy_server import Graph, RunError
from safetensors.torch import save_file
from shipped_graphs import api_graph, node_of, put_input_files
from tiny_transfer25 import CHANNELS, FRAMES, SIZE

NAME = "tiny/transfer25"
PROMPTS = ("a filmed street", "a game")
RELEASED = {"edge": "edge", "depth": "depth", "segmentation": "seg"}
WEIGHTS = {"edge": 0.7, "depth": 0.25, "segmentation": 1.0}
STEPS, GUIDANCE = 5, 3.0
CELLS = (3, SIZE[0] // 8, SIZE[1] // 8)


def draw(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def clip(seed, frames=FRAMES):
    return (draw(seed, frames, *SIZE, 3) / 4 + 0.5).clamp(0, 1)


@pytest.fixture(scope="module")
def tiny():
    return tiny_transfer25.tiny_parts()


@pytest.fixture(scope="module")
def folder(server, tiny):
    return tiny_transfer25.save(*tiny, server.base / "models" / "diffusers" / NAME)


def hint(vae, frames):
    """The control's latent as the pipeline makes it."""
    from diffusers.pipelines.cosmos.pipeline_cosmos2_5_transfer import retrieve_latents

    latent = retrieve_latents(vae.encode(frames.permute(3, 0, 1, 2)[None] * 2 - 1), sample_mode="argmax")
    mean, std = (torch.tensor(vae.config[name]).view(1, -1, 1, 1, 1) for name in ("latents_mean", "latents_std"))
    return (latent - mean) / std


def run_pipeline(parts, control, noise, frames, **changes):
    """(latents after every step, of all chunks; flow sigmas; the latents that were given to each chunk)."""
    pipe, seen, given = tiny_transfer25.pipeline(parts, control, **changes), [], []
    prepare = pipe.prepare_latents

    def keep(_pipe, _index, _time, values):
        seen.append(values["latents"].clone())
        return {}

    def watch(**kwargs):
        found = prepare(**kwargs)
        given.append(found[1] * found[2])
        return found

    pipe.prepare_latents = watch
    told = dict(prompt=PROMPTS[0], negative_prompt=PROMPTS[1], guidance_scale=GUIDANCE)
    size = dict(height=SIZE[0], width=SIZE[1], num_frames_per_chunk=FRAMES, num_inference_steps=STEPS)
    pipe(
        controls=frames.permute(0, 3, 1, 2)[None],
        latents=noise,
        output_type="latent",
        callback_on_step_end=keep,
        **told,
        **size,
    )
    return seen, pipe.scheduler.sigmas, given


class Scene(Graph):
    """A graph with the tiny model, its prompts and controls, ready to sample from a given noise."""

    def __init__(self, server):
        super().__init__()
        self.server = server
        loaded = self.add("VideoRealismLoadVideoModel", model=NAME, precision="fp32")
        self.model, self.clip, self.vae = (loaded[i] for i in range(3))
        self.prompts = [self.add("CLIPTextEncode", clip=self.clip, text=text)[0] for text in PROMPTS]

    def tensor(self, values):
        name = hashlib.sha256(values.numpy().tobytes() + repr(values.shape).encode()).hexdigest()
        np.save(self.server.base / "input" / f"{name}.npy", values.numpy())
        return self.add("VRTestTensorFile", name=name)

    def control(self, modality, frames, strength):
        branch = self.add("VideoRealismLoadControlBranch", modality=modality, model=NAME)
        inputs = dict(zip(("positive", "negative"), self.prompts), strength=strength)
        options = dict(image=self.tensor(frames), start_percent=0.0, end_percent=1.0)
        node = self.add("ControlNetApplyAdvanced", control_net=branch, **inputs, **options)
        self.prompts = [node[0], node[1]]

    def states(self, noise, times, sampler, latent):
        """The state after every step, flow states of diffusers' scale."""
        sigmas = times / (1 - times)
        guider = self.add(
            "CFGGuider", model=self.model, positive=self.prompts[0], negative=self.prompts[1], cfg=1 + GUIDANCE
        )
        inputs = dict(noise=self.tensor(noise)[2], guider=guider, sampler=sampler, sigmas=self.tensor(sigmas)[3])
        saved = self.add("VRTestSaveTensor", value=self.add("SamplerCustomAdvanced", latent_image=latent, **inputs))
        path = self.server.run(self)[saved]["text"][0]
        return torch.from_numpy(np.load(path))

    def ksampled(self):
        plan = dict(seed=5, steps=2, cfg=2.0, sampler_name="euler", scheduler="karras", denoise=1.0)
        prompts = dict(positive=self.prompts[0], negative=self.prompts[1])
        empty = self.tensor(torch.zeros(1, CHANNELS, *CELLS))[1]
        return self.add("KSampler", model=self.model, latent_image=empty, **prompts, **plan)

    def euler(self):
        return self.add("VRTestWatchedSampler", sampler=self.add("KSamplerSelect", sampler_name="euler"))


def euler_of(scheduler):
    """Order 1 without the corrector is Euler, which ComfyUI has too."""
    return scheduler.from_config(scheduler.config, solver_order=1, disable_corrector=list(range(STEPS)))


def same(found, wanted):
    assert len(found) == len(wanted) == STEPS
    for step, (ours, theirs) in enumerate(zip(found, wanted)):
        error = float((ours - theirs).abs().max() / theirs.abs().max())
        assert error < 1e-4, (step, error)


@pytest.mark.parametrize("solver", ["euler", "unipc"])
def test_three_controls_equal_the_pipeline_after_every_step(server, folder, tiny, monkeypatch, solver):
    tiny_transfer25.stand_in_torchvision(monkeypatch)
    parts, branches = tiny
    maps = {name: clip(seed) for seed, name in enumerate(WEIGHTS)}
    hints = [hint(parts["vae"], frames) for frames in maps.values()]
    control = tiny_transfer25.Sum([branches[RELEASED[name]] for name in maps], hints, list(WEIGHTS.values()))
    noise = draw(9, 1, CHANNELS, *CELLS)
    scheduler = euler_of(parts["scheduler"]) if solver == "euler" else parts["scheduler"]
    wanted, times, _ = run_pipeline(parts, control, noise, maps["edge"], scheduler=scheduler)

    scene = Scene(server)
    for name, frames in maps.items():
        scene.control(name, frames, WEIGHTS[name])
    empty = scene.tensor(torch.zeros(1, CHANNELS, *CELLS))[1]
    if solver == "euler":
        # The pipeline starts from the noise itself, ComfyUI from sigma times it.
        states = scene.states(noise / times[0], times, scene.euler(), empty)
        found = [x / (1 + sigma) for x, sigma in zip(states, (times / (1 - times))[1:])]
    else:
        sampler = scene.add("VRTestUniPCSampler", config=json.dumps(tiny_transfer25.SCHEDULER))
        found = scene.states(noise, times, sampler, empty)
    same(found, [state[0] for state in wanted])


def test_a_chunk_with_a_given_frame_equals_the_pipelines_second(server, folder, tiny, monkeypatch):
    tiny_transfer25.stand_in_torchvision(monkeypatch)
    parts, branches = tiny
    noise, frames = draw(9, 1, CHANNELS, *CELLS), clip(0, 2 * FRAMES - 1)
    scheduler = euler_of(parts["scheduler"])
    wanted, times, given = run_pipeline(parts, branches["edge"], noise, frames, scheduler=scheduler)
    assert len(wanted) == 2 * STEPS and given[1][:, :, 0].abs().max() > 0

    scene = Scene(server)
    scene.control("edge", frames[FRAMES - 1 :], 1.0)
    latent = scene.add("VRTestMaskFrames", latent=scene.tensor(given[1])[1], frames=1, rest=1.0)
    states = scene.states(noise / times[0], times, scene.euler(), latent)
    found = [x / (1 + sigma) for x, sigma in zip(states, (times / (1 - times))[1:])]
    same([x[:, 1:] for x in found], [x[0, :, 1:] for x in wanted[STEPS:]])
    assert (found[-1][:, 0] - given[1][0, :, 0]).abs().max() < 1e-5


def test_a_frame_given_in_part_is_refused(server, folder):
    scene = Scene(server)
    latent = scene.add("VRTestMaskFrames", latent=scene.tensor(draw(1, 1, CHANNELS, *CELLS))[1], frames=1, rest=0.0)
    with pytest.raises(RunError, match="The noise mask gives parts of frames"):
        scene.states(draw(2, 1, CHANNELS, *CELLS), torch.tensor([0.9, 0.5, 0.0]), scene.euler(), latent)


def test_inversion_under_three_controls_comes_back(server, folder):
    scene = Scene(server)
    for seed, name in enumerate(WEIGHTS):
        scene.control(name, clip(seed), WEIGHTS[name])
    latent = scene.add("VAEEncode", vae=scene.vae, pixels=scene.tensor(clip(7)))
    levels = scene.add("KarrasScheduler", steps=13, sigma_max=200.0, sigma_min=0.01, rho=7.0)
    told = dict(model=scene.model, inversion=scene.prompts[0], latent=latent, sigmas=levels)
    found = scene.add("VideoRealismDDIMInvert", method="exact", measure_round_trip=False, **told)
    guide = scene.add("CFGGuider", model=scene.model, positive=scene.prompts[0], negative=scene.prompts[1], cfg=1.0)
    wires = dict(noise=found[0], sampler=found[1], sigmas=found[2], guider=guide, latent_image=latent)
    back = scene.add("SamplerCustomAdvanced", **wires)
    error = scene.add("VRTestCompareLatents", latent=back, reference=latent)
    assert float(server.run(scene)[error]["text"][0]) < 1e-4


def test_the_preset_comes_with_the_model_and_an_inversion_may_take_fewer_steps(server, folder):
    """Noise from 8 steps, sampled in 12 by a native sampler over the model's own levels."""
    scene = Scene(server)
    scene.control("edge", clip(1), 1.0)
    latent = scene.add("VAEEncode", vae=scene.vae, pixels=scene.tensor(clip(7)))
    preset = [
        scene.add("VideoRealismModelPreset", model=scene.model, steps=n, strength=1.0, shift=0.0) for n in (8, 12)
    ]
    told = dict(model=scene.model, inversion=scene.prompts[0], latent=latent, sigmas=preset[0][0])
    found = scene.add("VideoRealismDDIMInvert", method="exact", measure_round_trip=False, **told)
    guide = scene.add("CFGGuider", model=scene.model, positive=scene.prompts[0], negative=scene.prompts[1], cfg=1.0)
    wires = dict(noise=found[0], sigmas=preset[1][0], guider=guide, latent_image=latent)
    sampler = scene.add("KSamplerSelect", sampler_name="dpmpp_2m")
    near = scene.add("SamplerCustomAdvanced", sampler=sampler, **wires)
    error = scene.add("VRTestCompareLatents", latent=near, reference=latent)
    outputs = server.run(scene)
    assert "93" in outputs[preset[1]]["text"][0] and "cfg 4 as released" in outputs[preset[1]]["text"][0]
    assert "12 steps from sigma 200 to 0.01" in outputs[preset[1]]["text"][0]
    assert 1e-4 < float(outputs[error]["text"][0]) < 1


def test_the_shipped_graph_on_a_tiny_folder_of_its_name(server, tiny):
    """Maps, stack, inversion, guider, sampler, decode: the shipped wires, with a small model in the shipped folder."""
    graph = api_graph("cosmos_transfer25", quick=True)
    named = {node["inputs"]["model"] for node in graph.values() if isinstance(node["inputs"].get("model"), str)}
    assert named == {"Cosmos-Transfer2.5-2B"}
    tiny_transfer25.save(*tiny, server.base / "models" / "diffusers" / "Cosmos-Transfer2.5-2B")
    put_input_files(server, graph)
    source = node_of(graph, "VideoRealismStructureMaps")
    for node in graph.values():
        kind, inputs = node["class_type"], node["inputs"]
        if kind == "VideoRealismLoadVideoModel":
            inputs["precision"] = "fp32"
        elif kind == "VideoRealismControlNetStack":
            inputs["map"] = [source, 0]  # there is no depth or segmentation model here
        elif kind == "VideoRealismDDIMInvert":
            inputs["measure_round_trip"] = True
        elif kind == "ImageScale":
            inputs.update(width=48, height=32)
        elif kind == "ImageFromBatch":
            inputs["length"] = FRAMES
        elif kind == "KarrasScheduler":
            inputs["steps"] = 13
    graph["result"] = {"class_type": "VRTestStatistics", "inputs": {"value": [node_of(graph, "VAEDecode"), 0]}}
    outputs = server.run(graph, timeout=400)
    found = json.loads(outputs["result"]["text"][0])
    assert found["shape"] == [FRAMES, *SIZE, 3] and found["finite"] and found["std"] > 0
    stacks = [outputs[i]["text"][0] for i, n in graph.items() if n["class_type"] == "VideoRealismControlNetStack"]
    assert "3 controls" in max(stacks, key=len)
    told = outputs[node_of(graph, "VideoRealismDDIMInvert")]["text"][0]
    assert "12 steps, sigma 200 to" in told
    assert float(re.search(r"round-trip error: (\S+)", told).group(1)) < 1e-4, told


def test_weights_of_model_and_branch_have_to_be_the_same(server, folder):
    scene = Scene(server)
    scene.control("edge", clip(1), 1.0)
    branch = next(node for node in scene.values() if node["class_type"] == "VideoRealismLoadControlBranch")
    branch["inputs"]["weights"] = "bf16"
    latent = scene.tensor(draw(1, 1, CHANNELS, *CELLS))[1]
    with pytest.raises(RunError, match="edge control branch and the MODEL have different weights"):
        scene.states(draw(2, 1, CHANNELS, *CELLS), torch.tensor([0.9, 0.5, 0.0]), scene.euler(), latent)


@pytest.mark.parametrize("weights", ["bf16", "fp8"])
def test_smaller_weights_sample_and_the_plan_is_shown_and_logged(server, folder, weights):
    scene = Scene(server)
    scene.control("edge", clip(1), 1.0)
    for node in scene.values():
        if node["class_type"].startswith("VideoRealismLoad"):
            node["inputs"]["weights"] = weights
    shown = scene.add("VRTestStatistics", value=scene.ksampled())
    outputs = server.run(scene)
    assert json.loads(outputs[shown]["text"][0])["finite"]
    lines = outputs["1"]["text"][0].splitlines()
    assert f"memory plan {weights}".split() == [word for word in lines[4].split() if word not in ("in", "files")]
    assert "controlnet_seg" in lines[-3] and lines[-1].startswith("All parts stay on cpu") and "bfloat16" in lines[2]
    # The log reaches its file a moment later.
    assert any(lines[4] in server.log() or time.sleep(0.2) for _ in range(50))


class Trap:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def lora(folder):
    path = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    save_file({"transformer_blocks.0.attn1.to_q.lora_A.weight": torch.zeros(4, 24)}, path)


def another_part(folder):
    shutil.copy(next((folder / "vae").glob("*.safetensors")), folder / "transformer" / "x.safetensors")
    (folder / "transformer" / "diffusion_pytorch_model.safetensors").unlink()


def truncated(folder):
    path = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def pickled(folder):
    (folder / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    torch.save(Trap(folder / "executed"), folder / "transformer" / "diffusion_pytorch_model.bin")


def renamed_pickle(folder):
    pickled(folder)
    path = folder / "transformer" / "diffusion_pytorch_model.bin"
    path.rename(path.with_suffix(".safetensors"))


def code_beside(folder):
    index = json.loads((folder / "model_index.json").read_text())
    index["text_encoder"] = ["trap", "Trap"]
    (folder / "model_index.json").write_text(json.dumps(index))
    (folder / "preset.json").write_text("{}")
    (folder / "text_encoder" / "trap.py").write_text(f"open({str(folder / 'executed')!r}, 'w')")


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (lora, "holds a LoRA; a whole CosmosTransformer3DModel is needed there"),
        (another_part, "holds a video autoencoder; a CosmosTransformer3DModel is needed there"),
        (truncated, "bytes where its header says"),
        (pickled, "has no .safetensors file; convert the weights to safetensors first"),
        (renamed_pickle, "is not a whole safetensors file: download it again"),
        (code_beside, "text_encoder is a Trap; a T5EncoderModel or Qwen2_5_VLForConditionalGeneration is needed there"),
    ],
)
def test_a_wrong_file_is_refused_with_a_sentence_and_nothing_runs(server, folder, break_it, sentence):
    name = f"wrong/{break_it.__name__}"
    copy = shutil.copytree(folder, server.base / "models" / "diffusers" / name)
    break_it(copy)
    scene = Scene(server)
    scene["1"]["inputs"]["model"] = name
    scene.add("VRTestStatistics", value=scene.ksampled())
    with pytest.raises(RunError) as refused:
        server.run(scene)
    assert sentence in refused.value.exception_message and "\n" not in refused.value.exception_message
    assert not (copy / "executed").exists()
