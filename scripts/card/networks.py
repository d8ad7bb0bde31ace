"""Full-size networks with random weights: seconds of a step against the bare network, memory, host reads.

Their sizes are the releases' own (pipeline_core/models/plan/configs); weights are random, so only time and memory say
something here, pictures do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch

from card.parts import Clock, Row, timed
from card.places import Place
from pipeline_core.diffusion import CFG, FLOW, VE, Only, guided, invert, karras_sigmas, sample

CONTROLS = ("edge", "depth", "segmentation")
STEPS = 2
TIMES = 3
CALLS = 20  # of the network that `steps` and what follows it make, when one takes more than a second
READS = 1.0  # that the host waits in a step, at most


@contextmanager
def default_dtype(dtype: torch.dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def built(place: Place, small: bool, kind: type, config: dict) -> torch.nn.Module:
    """A network with random weights, on the device: bfloat16, or float32 where it is small."""
    dtype = torch.float32 if small else torch.bfloat16
    torch.manual_seed(0)
    with default_dtype(dtype), place.factory:
        network = kind(**config)
    return network.to(place.device).eval().requires_grad_(False)


def drawn(place: Place, *size: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(1)).to(place.device, dtype)


def weights_of(*networks: torch.nn.Module) -> tuple[float, int]:
    """(billions of weights, bytes)."""
    tensors = [tensor for network in networks for tensor in network.parameters()]
    return sum(t.numel() for t in tensors) / 1e9, sum(t.numel() * t.element_size() for t in tensors)


def transfer25(place: Place, small: bool, clock: Clock) -> Iterator[Row]:
    """Cosmos-Transfer2.5 2B with three control branches, 93 frames of 704x1280."""
    from diffusers import CosmosControlNetModel, CosmosTransformer3DModel

    from pipeline_core.models import Preset, VideoModel, cosmos_forward
    from pipeline_core.models.folders.placement import in_one_byte

    base, branch = (arguments(name) for name in ("transfer25", "transfer25_branch"))
    cells, words = (24, 88, 160), 512
    if small:
        tiny = {"num_attention_heads": 2, "attention_head_dim": 12, "mlp_ratio": 2.0, "text_embed_dim": 20}
        tiny |= {"adaln_lora_dim": 8, "crossattn_proj_in_channels": 32, "encoder_hidden_states_channels": 20}
        tiny |= {"img_context_dim_in": 10, "img_context_dim_out": 24}
        base = {**base, **tiny, "num_layers": 4, "controlnet_block_every_n": 2, "img_context_num_tokens": 6}
        branch = {**branch, **tiny, "n_controlnet_blocks": 2, "model_channels": 24}
        cells, words = (3, 4, 6), 8
    transformer = built(place, small, CosmosTransformer3DModel, base)
    branches = {name: built(place, small, CosmosControlNetModel, branch) for name in CONTROLS}
    billions, size = weights_of(transformer, *branches.values())
    yield Row("weights of the transformer and three branches", billions, "billion")
    yield Row("their bytes", size / 2**30, "GiB")

    dtype = transformer.patch_embed.proj.weight.dtype
    text = drawn(place, 1, words, base["crossattn_proj_in_channels"])
    x = drawn(place, 1, base["out_channels"], *cells)
    hints = {name: drawn(place, *x.shape) for name in CONTROLS}
    weight = 1 / len(CONTROLS)
    controls = [(network, hints[name].to(dtype), weight) for name, network in branches.items()]
    time = torch.full((1,), 0.5, device=place.device)

    def bare():
        return cosmos_forward(transformer, controls, x.to(dtype), time, text.to(dtype))

    preset = Preset(window=93, size=(704, 1280), control_weights=dict.fromkeys(CONTROLS, weight))
    model = VideoModel(transformer, branches, None, None, None, preset, place.device, bf16=False)
    conditions = {"positive": text, "negative": text + 0.1}
    predict = model.predictor(conditions, hints, dict.fromkeys(CONTROLS, weight), VE)
    yield from steps(place, small, clock, "cosmos_transfer25", bare, predict, x, VE)
    for network in (transformer, *branches.values()):
        in_one_byte(network, dtype)
    _, size = weights_of(transformer, *branches.values())
    yield Row("bytes with the matrices in fp8", size / 2**30, "GiB")
    yield Row("a call with the matrices in fp8", timed(place, torch.no_grad()(bare), 1), "s")


def wan(place: Place, small: bool, clock: Clock) -> Iterator[Row]:
    """Wan 2.1 VACE 1.3B with three contexts, 81 frames of 480x832."""
    from diffusers import WanVACETransformer3DModel

    from pipeline_core.models.plan.forwards import wan_vace

    config = arguments("wan_vace_1.3b")
    cells, words = (21, 60, 104), 512
    if small:
        tiny = {"num_attention_heads": 2, "attention_head_dim": 12, "ffn_dim": 32, "text_dim": 16, "freq_dim": 16}
        config = {**config, **tiny, "num_layers": 2, "vace_layers": [0, 1]}
        cells, words = (3, 4, 6), 8
    network = built(place, small, WanVACETransformer3DModel, config)
    billions, size = weights_of(network)
    yield Row("weights", billions, "billion")
    yield Row("their bytes", size / 2**30, "GiB")
    dtype = network.patch_embedding.weight.dtype
    x = drawn(place, 1, config["in_channels"], *cells)
    text = drawn(place, 1, words, config["text_dim"], dtype=dtype)
    context = drawn(place, 1, config["vace_in_channels"], *cells, dtype=dtype)
    times = torch.full((1,), 500.0, device=place.device)

    @torch.no_grad()
    def velocity(state, time, words):
        contexts = [context.expand(len(state), *context.shape[1:]) for _ in CONTROLS]
        return wan_vace(network, (), state.to(dtype), time, words, contexts).float()

    texts = {"positive": text, "negative": text + 0.1}

    def predict(state, sigma, names):
        time = torch.full((len(names),), 1000 * sigma, device=state.device)
        words = torch.cat([texts[name] for name in names])
        answers = velocity(state.expand(len(names), *state.shape[1:]), time, words)
        return [state - sigma * answer[None] for answer in answers]

    yield from steps(place, small, clock, "wan_vace_1.3b", lambda: velocity(x, times, text), predict, x, FLOW)


def grid(interpolant, steps: int) -> torch.Tensor:
    """A few levels in the middle, where both kinds of state are tame."""
    sigmas = karras_sigmas(steps, 0.1, 2.0)
    return sigmas if interpolant is VE else sigmas / (1 + sigmas)


def steps(
    place: Place, small: bool, clock: Clock, name: str, bare: Callable, predict, x: torch.Tensor, interpolant
) -> Iterator[Row]:
    """One call of the bare network, one step of sampling with one and with two conditions, one of inversion; what the
    step with two needs at once, beside what was there before it and what the plan says of it."""
    one = torch.no_grad()(bare)
    first = timed(place, one, 1)
    yield Row("first call of the bare network", first, "s")
    if clock.left() < CALLS * first:
        yield Row("a step", None, note=f"{clock.left():.0f} s are left and {CALLS} calls take longer: raise --minutes")
        return
    times = 1 if small or first > 1 else TIMES
    call = timed(place, one, times)
    yield Row("a call of the bare network", call, "s")

    def passed(rule, count: int = STEPS) -> None:
        sample(guided(predict, rule), x, grid(interpolant, count), interpolant)

    alone = Only("positive")
    passes = {
        "a step": lambda: passed(alone),
        "a step of the exact inversion": lambda: invert(
            guided(predict, alone), x, grid(interpolant, STEPS), interpolant
        ),
        "a step with cfg": lambda: passed(CFG(3.0)),
    }
    for step, run in passes.items():
        place.forget_peak()
        before = place.allocated()
        seconds = timed(place, run, times) / STEPS
        yield Row(step, seconds, "s")
        calls = 2 if "cfg" in step else 1
        yield Row(f"{step}, over {calls} of the bare calls", seconds / (calls * call) - 1, "share")
    yield from memory(place, name, small, before)
    reads = [place.reads(partial(passed, alone, count)) for count in (1, 2)]
    if None in reads:
        yield Row("host reads in a step", None, note=f"nothing counts them on {place.kind}")
    else:
        yield Row("host reads in a step", float(reads[1] - reads[0]), "reads", READS)


def memory(place: Place, name: str, small: bool, before: int | None) -> Iterator[Row]:
    """The peak since it was forgotten, beside what was allocated then, and what the plan says of a step with cfg."""
    peak, what = place.peak(), "a step with cfg needs at once, beside weights and inputs"
    if not small:
        yield Row(f"{what}: planned", planned_step(name) / 2**30, "GiB")
    if peak is None:
        yield Row(what, None, note=f"{place.kind} does not count its memory")
        return
    yield Row(what, (peak - before) / 2**30, "GiB")
    if not small:
        yield Row(f"{what}, over the plan", (peak - before) / planned_step(name) - 1, "share")


def planned_step(name: str) -> int:
    """Bytes that a step with two conditions of this release needs at once by the pack's plan, at its own size, window
    and controls, beside the weights and what it reads."""
    from pipeline_core.models.plan.counts import defaults
    from pipeline_core.models.plan.releases import find_release

    return defaults(find_release(name)).two.peak


def arguments(name: str) -> dict:
    """A published configuration as its class takes it."""
    from pipeline_core.models.plan.networks import read_config

    return {key: value for key, value in read_config(name).items() if not key.startswith("_")}
