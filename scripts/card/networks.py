"""Full-size networks with random weights: seconds of a step against the bare network, memory, host reads.

Their sizes are the releases' own (pipeline_core/models/released/keys); weights are random, so only time and memory say
something here, pictures do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch

from card.parts import Clock, Row, timed
from card.places import Place
from card.planned import planned_bytes
from pipeline_core.diffusion import CFG, FLOW, VE, Only, guided, invert, karras_sigmas, sample

CONTROLS = ("edge", "depth", "segmentation")
STEPS = 2
TIMES = 3
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
    from pipeline_core.models.released.tensor_lists import read_release

    base, branch = (read_release(name).config for name in ("cosmos_transfer25", "cosmos_transfer25_branch"))
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
    yield from steps(place, small, clock, bare, predict, x, VE)
    yield from memory(place, "cosmos_transfer25", small, size, guided(predict, CFG(3.0)), x, VE)


def wan(place: Place, small: bool, clock: Clock) -> Iterator[Row]:
    """Wan 2.1 VACE 1.3B with one context, 81 frames of 480x832."""
    from diffusers import WanVACETransformer3DModel

    from pipeline_core.models.released.tensor_lists import read_release

    config = read_release("wan21_vace_1_3b_diffusers").config
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
    scales = torch.ones(len(config["vace_layers"]), device=place.device, dtype=dtype)
    times = torch.full((1,), 500.0, device=place.device)

    @torch.no_grad()
    def velocity(state, time, words):
        return network(state.to(dtype), time, words, None, context, scales, return_dict=False)[0].float()

    texts = {"positive": text, "negative": text + 0.1}

    def predict(state, sigma, names):
        time = torch.full((1,), 1000 * sigma, device=state.device)
        return [state - sigma * velocity(state, time, texts[name]) for name in names]

    yield from steps(place, small, clock, lambda: velocity(x, times, text), predict, x, FLOW)
    yield from memory(place, "wan_vace", small, size, guided(predict, CFG(3.0)), x, FLOW)


def grid(interpolant, steps: int) -> torch.Tensor:
    """A few levels in the middle, where both kinds of state are tame."""
    sigmas = karras_sigmas(steps, 0.1, 2.0)
    return sigmas if interpolant is VE else sigmas / (1 + sigmas)


def steps(
    place: Place, small: bool, clock: Clock, bare: Callable, predict, x: torch.Tensor, interpolant
) -> Iterator[Row]:
    """One call of the bare network, one step of sampling with one and with two conditions, one of inversion."""
    one = torch.no_grad()(bare)
    first = timed(place, one, 1)
    yield Row("first call of the bare network", first, "s")
    # An inversion, a guided pass and the bare one, each a few times: about thirty calls.
    if clock.left() < 30 * first:
        yield Row("a step", None, note=f"{clock.left():.0f} s are left, and thirty calls take longer: raise --minutes")
        return
    times = 1 if small else TIMES
    call = timed(place, one, times)
    yield Row("a call of the bare network", call, "s")
    passes = {
        "a step": lambda: sample(guided(predict, Only("positive")), x, grid(interpolant, STEPS), interpolant),
        "a step with cfg": lambda: sample(guided(predict, CFG(3.0)), x, grid(interpolant, STEPS), interpolant),
        "a step of the exact inversion": lambda: invert(
            guided(predict, Only("positive")), x, grid(interpolant, STEPS), interpolant
        ),
    }
    for name, run in passes.items():
        seconds = timed(place, run, times if call < 1 else 1) / STEPS
        yield Row(name, seconds, "s")
        calls = 2 if "cfg" in name else 1
        yield Row(f"{name}, over {calls} of the bare calls", seconds / (calls * call) - 1, "share")
    denoise = guided(predict, CFG(3.0))
    reads = [place.reads(partial(sample, denoise, x, grid(interpolant, count), interpolant)) for count in (2, 3)]
    if None in reads:
        yield Row("host reads in a step", None, note=f"nothing counts them on {place.kind}")
    else:
        yield Row("host reads in a step", float(reads[1] - reads[0]), "reads", READS)


def memory(
    place: Place, name: str, small: bool, weights: int, denoise: Callable, x: torch.Tensor, interpolant
) -> Iterator[Row]:
    """The peak of a guided step, beside what the plan says of the same step."""
    place.forget_peak()
    sample(denoise, x, grid(interpolant, STEPS), interpolant)
    peak, planned = place.peak(), None if small else planned_bytes(name, weights)
    if planned is not None:
        yield Row("peak of a step with cfg, planned", planned / 2**30, "GiB")
    if peak is None:
        yield Row("peak of a step with cfg", None, note=f"{place.kind} does not count its memory")
        return
    yield Row("peak of a step with cfg", peak / 2**30, "GiB")
    if planned is not None:
        yield Row("measured over planned", peak / planned - 1, "share")
