"""The memory plan's arithmetic on a real tiny folder, where each placement begins, and that none changes a result."""

from dataclasses import replace

import pytest
import tiny_transfer25
import torch
from safetensors.torch import load_file

from pipeline_core.diffusion import VE
from pipeline_core.errors import UserError
from pipeline_core.models import load_video_model, read_preset
from pipeline_core.models.folders.loading import load_part
from pipeline_core.models.folders.memory import GIB, forward_bytes, plan_memory, step_bytes, wan_coding_bytes
from pipeline_core.models.folders.placement import Turns, in_one_byte, streamed
from pipeline_core.models.folders.precision import bf16_failure
from pipeline_core.models.networks.cosmos import cosmos_forward
from pipeline_core.models.plan.counts import defaults
from pipeline_core.models.plan.networks import read_config
from pipeline_core.models.plan.releases import RELEASES
from pipeline_core.models.plan.tracker import Tracker

needs_bf16 = pytest.mark.skipif(
    bf16_failure(torch.device("cpu")) != "", reason="torch does not carry out bfloat16 here"
)


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
        assert part.in_memory == bytes_of(load_part(folder, part.name, torch.float32 if part.name == "vae" else kind))


def test_one_byte_halves_the_matrices_and_leaves_the_doors(folder):
    plan = plan_memory(folder, read_preset(folder), "fp8")
    for part in plan.parts:
        if part.name == "vae":
            continue
        network = in_one_byte(load_part(folder, part.name, torch.bfloat16), torch.bfloat16)
        # diffusers casts a matrix's bias too; the plan counts two bytes for it.
        biases = sum(p.numel() for p in network.parameters() if p.ndim == 1 and p.element_size() == 1)
        assert part.in_memory == bytes_of(network) + biases, part.name
        if part.name != "text_encoder":
            assert network.patch_embed.proj.weight.dtype == torch.bfloat16


@needs_bf16
def test_a_step_takes_what_was_estimated(folder):
    """In small, where the network's doors weigh more beside its blocks; and by the token."""
    transformer, cells = load_part(folder, "transformer", torch.bfloat16), (3, 16, 24)
    x, text = (torch.randn(shape).bfloat16() for shape in ((1, 16, *cells), (1, 8, tiny_transfer25.TEXT_WIDTH)))
    with torch.no_grad(), Tracker() as tracker:
        cosmos_forward(transformer, [], x, torch.tensor([0.4]), text)
    assert 0.75 * step_bytes(folder, cells, 0) < tracker.peak < 1.25 * step_bytes(folder, cells, 0)
    for controls in (0, 3):
        larger = step_bytes(folder, (6, 32, 48), controls)
        assert larger == pytest.approx(8 * step_bytes(folder, cells, controls), abs=8)
    released = (24, 88, 160)  # 93 frames of 704 x 1280
    assert plan_memory(folder, read_preset(folder)).step == step_bytes(folder, released, 3)


def test_the_estimates_are_the_traces_of_the_release():
    """And never below them: a step under three maps and under two, the VAE whole and by ComfyUI's tile."""
    costs, config, vae = defaults(RELEASES["cosmos_transfer25"]), read_config("transfer25"), read_config("wan21_vae")
    assert (costs.frames, costs.size, costs.controls) == (93, (704, 1280), 3)
    for controls, cost in ((3, costs.one), (2, costs.fewer)):
        assert cost.peak <= forward_bytes(config, (24, 88, 160), controls) <= 1.05 * cost.peak
    for size, cost in (((88, 160), costs.decode), ((64, 64), costs.tile)):
        assert cost.peak <= wan_coding_bytes(vae, size) <= 1.05 * cost.peak


def test_the_estimates_are_the_traces_of_cosmos3():
    costs, config, vae = defaults(RELEASES["cosmos3_nano"]), read_config("cosmos3_nano"), read_config("wan22_vae")
    assert (costs.frames, costs.size, costs.controls) == (121, (704, 1280), 1)
    for controls, cost in ((1, costs.one), (0, costs.fewer)):
        assert cost.peak <= forward_bytes(config, (31, 44, 80), controls) <= 1.05 * cost.peak
    for size, cost in (((44, 80), costs.decode), ((32, 32), costs.tile)):
        assert cost.peak <= wan_coding_bytes(vae, size) <= 1.05 * cost.peak


def least_free(folder, preset, best):
    """The fewest bytes at which the plan is at least as good as (placement, together) `best`, by bisection."""
    order = [("whole", 0), ("parts", 0), ("parts", 1), ("stream", 1), ("none", 1)]

    def rank(free):
        plan = plan_memory(folder, preset, "bf16", free, "cuda:0")
        assert max(plan.stages.values()) <= free or plan.placement in ("whole", "none")
        return order.index((plan.placement, plan.together))

    low, high = 0, 2 * GIB
    assert rank(high) == 0 and rank(low) == 4
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if rank(middle) <= order.index(best) else (middle, high)
    return high


@needs_bf16
def test_placements_begin_where_what_is_really_on_the_device_fits(folder):
    """Networks of the real folder take their turns, and what they hold in memory is counted as they come and go."""
    preset, resident = read_preset(folder), {}
    model = load_video_model(folder, precision="fp32", weights="bf16")
    groups = {"text": [model.text_encoder], "frames": [model.vae]}
    groups["steps"] = [model.transformer, *model.branches.values()]

    class Counting(Turns):
        def enter(self, name):
            super().enter(name)
            resident[name] = sum(bytes_of(network) for network in self.groups[self.here])

    answer(replace(model, turns=Counting(groups, torch.device("cpu"))))
    plan = plan_memory(folder, preset, "bf16")
    coding = plan.stages["frames"] - resident["frames"]
    assert coding > 0 and resident["text"] == plan.stages["text"]
    held = {n: max(resident["text"], resident["frames"] + coding, resident["steps"] + n * plan.step) for n in (1, 2)}
    assert least_free(folder, preset, ("whole", 0)) == sum(resident.values()) + max(2 * plan.step, coding)
    assert least_free(folder, preset, ("parts", 0)) == held[2]
    assert least_free(folder, preset, ("parts", 1)) == held[1]
    blocks = [*model.transformer.transformer_blocks, *(b for n in model.branches.values() for b in n.control_blocks)]
    stream = least_free(folder, preset, ("stream", 1))  # the block at work and the one that is on its way
    assert plan.step + 2 * max(map(bytes_of, blocks)) <= stream < held[1]
    assert "All parts stay on cpu" in plan.sentence() and plan.placement == "whole"


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


@needs_bf16
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


def test_a_turn_that_did_not_fit_is_tried_again_in_full():
    places, full = {}, ["steps two"]

    class Network(torch.nn.Module):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def to(self, device):
            if self.name in full and str(device) != "cpu":
                raise torch.OutOfMemoryError(self.name)
            places[self.name] = str(device)
            return self

    groups = {"text": [Network("text")], "steps": [Network("steps one"), Network("steps two")]}
    turns = Turns(groups, torch.device("meta"))
    turns.enter("text")
    for _ in range(2):  # the second try must not take the first one's word for it
        with pytest.raises(torch.OutOfMemoryError):
            turns.enter("steps")
        assert places == {"text": "cpu", "steps one": "cpu", "steps two": "cpu"}
    full.clear()
    turns.enter("steps")
    assert places == {"text": "cpu", "steps one": "meta", "steps two": "meta"}
