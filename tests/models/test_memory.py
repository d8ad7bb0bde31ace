"""The memory plan's arithmetic on a real tiny folder, where each placement begins, and that none changes a result."""

from dataclasses import replace
from math import prod

import pytest
import tiny_transfer25
import torch
from safetensors.torch import load_file

from pipeline_core.diffusion import VE
from pipeline_core.errors import UserError
from pipeline_core.models import load_video_model, read_preset
from pipeline_core.models.folders.loading import load_part
from pipeline_core.models.folders.memory import GIB, plan_memory, step_bytes
from pipeline_core.models.folders.placement import Turns, in_one_byte, streamed
from pipeline_core.models.folders.precision import bf16_failure


@pytest.fixture(scope="module")
def tiny():
    return tiny_transfer25.tiny_parts()


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    return tiny_transfer25.save(*tiny, tmp_path_factory.mktemp("models") / "transfer25")


def bytes_of(network):
    return sum(parameter.numel() * parameter.element_size() for parameter in network.parameters())


@pytest.mark.parametrize("weights", ["fp32", "bf16"])
def test_kept_bytes_are_those_of_the_loaded_networks(folder, weights):
    plan = plan_memory(folder, read_preset(folder), weights)
    kind = {"fp32": torch.float32, "bf16": torch.bfloat16}[weights]
    assert [part.name for part in plan.parts][:3] == ["transformer", "text_encoder", "vae"]
    for part in plan.parts:
        files = list((folder / part.name).glob("*.safetensors"))
        assert part.stored == sum(t.numel() * t.element_size() for path in files for t in load_file(path).values())
        assert part.kept == bytes_of(load_part(folder, part.name, torch.float32 if part.name == "vae" else kind))


def test_one_byte_halves_the_matrices_and_leaves_the_doors(folder):
    plan = plan_memory(folder, read_preset(folder), "fp8")
    for part in plan.parts:
        if part.name == "vae":
            continue
        network = in_one_byte(load_part(folder, part.name, torch.bfloat16), torch.bfloat16)
        # diffusers casts a matrix's bias too; the plan counts two bytes for it.
        biases = sum(p.numel() for p in network.parameters() if p.ndim == 1 and p.element_size() == 1)
        assert part.kept == bytes_of(network) + biases, part.name
        if part.name != "text_encoder":
            assert network.patch_embed.proj.weight.dtype == torch.bfloat16


def test_a_step_is_counted_for_every_token(folder):
    preset = read_preset(folder)
    cells = (24, 88, 160)
    width = prod((tiny_transfer25.SHARED["num_attention_heads"], tiny_transfer25.SHARED["attention_head_dim"]))
    assert step_bytes(folder, cells, 3) == 24 * 44 * 80 * width * 2 * (18 + 9)
    assert plan_memory(folder, preset).step == step_bytes(folder, cells, 3)


def test_placements_begin_where_their_sums_do(folder):
    preset = read_preset(folder)
    plan = plan_memory(folder, preset, "bf16")
    assert plan.placement == "whole" and "All parts stay on cpu" in plan.sentence()
    kept = {part.name: part.kept for part in plan.parts}
    controls = sum(size for name, size in kept.items() if name.startswith("controlnet"))
    coding = plan.stages["frames"] - kept["vae"]
    assert plan.stages["text"] == kept["text_encoder"]
    assert plan.stages["steps"] == kept["transformer"] + controls + 2 * plan.step
    whole = sum(kept.values()) + max(2 * plan.step, coding)
    turns, single = (max(kept["vae"] + coding, kept["transformer"] + controls + n * plan.step) for n in (2, 1))
    stream = plan.step + 2 * max(part.block for part in plan.parts)
    assert whole > turns >= single
    for free, placement, together in (
        (whole, "whole", 0),
        (whole - 1, "parts", 0),
        (turns, "parts", 0),
        (turns - 1, "parts", 1) if turns > single else (single - 1, "stream", 1),
        (single, "parts", 0 if single == turns else 1),
        (single - 1, "stream", 1),
        (stream, "stream", 1),
        (stream - 1, "none", 1),
    ):
        found = plan_memory(folder, preset, "bf16", free, "cuda:0")
        assert (found.placement, found.together) == (placement, together), free
        assert max(found.stages.values()) <= free or placement in ("whole", "none")


def test_the_table_names_every_part_and_the_sum(folder):
    lines = plan_memory(folder, read_preset(folder), "bf16", 24 * GIB, "cuda:0").lines()
    assert len(lines) == 1 + 6 + 1 + 1 and lines[0].split() == ["memory", "plan", "in", "files", "bf16"]
    assert lines[-2].startswith("all") and "24.00 GiB free" in lines[-1] and "estimated" in lines[-1]


def test_the_plan_is_told_before_anything_is_loaded(folder, monkeypatch):
    told = []

    def stop(*_):
        raise RuntimeError("loading")

    monkeypatch.setattr("pipeline_core.models.folders.loading.load_part", stop)
    with pytest.raises(RuntimeError, match="loading"):
        load_video_model(folder, tell=told.append)
    assert told[0].startswith("memory plan")
    monkeypatch.setattr("pipeline_core.models.folders.loading.free_memory", lambda _: 1000)
    with pytest.raises(UserError, match="too little for one window"):
        load_video_model(folder)


def test_an_unknown_word_for_weights_is_named(folder):
    with pytest.raises(UserError, match="weights is 'int4'"):
        plan_memory(folder, read_preset(folder), "int4")


def answer(model):
    frames = torch.rand(9, 32, 48, 3, generator=torch.Generator().manual_seed(0))
    texts = dict(zip(("positive", "negative"), model.encode_text(["a street", ""]).split(1)))
    hints = {"edge": model.encode_hint(frames)}
    x = 3 * torch.randn(1, 16, 3, 4, 6, generator=torch.Generator().manual_seed(1))
    return torch.cat(model.predictor(texts, hints, {"edge": 1.0}, VE)(x, 3.0, list(texts)))


@pytest.mark.skipif(bf16_failure(torch.device("cpu")) != "", reason="torch does not carry out bfloat16 here")
def test_one_byte_is_the_network_with_rounded_matrices(folder):
    found = answer(load_video_model(folder, precision="fp32", weights="fp8"))
    rounded = load_video_model(folder, precision="fp32", weights="bf16")
    for network in (rounded.transformer, rounded.text_encoder, *rounded.branches.values()):
        like = in_one_byte(load_like(network, folder, rounded), torch.bfloat16)
        for parameter, held in zip(network.parameters(), like.parameters()):
            parameter.copy_(held.to(torch.bfloat16))
    assert torch.equal(found, answer(rounded))
    whole = answer(load_video_model(folder, precision="fp32", weights="bf16"))
    assert not torch.equal(found, whole) and (found - whole).norm() < 0.2 * whole.norm()


def load_like(network, folder, model):
    names = {id(model.transformer): "transformer", id(model.text_encoder): "text_encoder"}
    parts = {"depth": "controlnet_depth", "edge": "controlnet_edge", "segmentation": "controlnet_seg"}
    names |= {id(branch): parts[name] for name, branch in model.branches.items()}
    return load_part(folder, names[id(network)], torch.bfloat16)


def test_streamed_layers_give_the_same(folder):
    model = load_video_model(folder, precision="fp32")
    wanted = answer(model)
    for network in (model.transformer, model.text_encoder, *model.branches.values()):
        streamed(network, torch.device("cpu"))
    assert torch.equal(answer(model), wanted)


def test_networks_take_turns(folder):
    class Watched(torch.nn.Module):
        def __init__(self, name, seen):
            super().__init__()
            self.name, self.seen = name, seen

        def to(self, device):
            self.seen.append((self.name, str(device)))
            return self

    seen = []
    groups = {name: [Watched(name, seen)] for name in ("text", "frames", "steps")}
    model = replace(load_video_model(folder, precision="fp32"), turns=Turns(groups, torch.device("meta")))
    answer(model)
    order = [(name, device) for name, device in seen]
    assert order == [
        ("text", "meta"), ("text", "cpu"), ("frames", "meta"), ("frames", "cpu"), ("steps", "meta")
    ]  # fmt: skip
    model.decode(torch.zeros(1, 16, 3, 4, 6))
    assert seen[-2:] == [("steps", "cpu"), ("frames", "meta")]
