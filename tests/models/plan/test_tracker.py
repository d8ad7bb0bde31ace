"""The tracker against closed forms, and its peaks against real tensors and the profiler's own memory events."""

import pytest
import torch
from small_networks import MIDDLE, TEXT, TINY, Call, profiled_peaks
from torch.utils.flop_counter import FlopCounterMode

from pipeline_core.models.plan.cost import Cost
from pipeline_core.models.plan.networks import Studio, build
from pipeline_core.models.plan.tracker import Tracker

KIB = 2**10
SHAPE, WIDE = (2, 12, 16), (3, 16, 24)
TRANSFORMERS = [name for name in TINY if name != "sd15"]


def shape_of(name, shape):
    """LTX-Video has 32 pixels to a cell and a patch of 1: fewer cells for as many tokens."""
    return (shape[0], shape[1] // 2, shape[2] // 2) if name == "ltxv_13b" else shape


def test_bytes_live_as_long_as_their_storage():
    with Tracker() as tracker:
        a = torch.zeros(KIB, dtype=torch.uint8)
        view = a[10:]
        assert tracker.live == KIB
        b = a + 1
        assert (tracker.live, tracker.peak) == (2 * KIB, 2 * KIB)
        del a
        assert tracker.live == 2 * KIB  # the view holds it
        del view
        assert tracker.live == KIB
        b.add_(1)
        del b
    assert (tracker.live, tracker.peak) == (0, 2 * KIB)


def test_what_was_there_before_costs_nothing():
    before = torch.zeros(KIB)
    with Tracker() as tracker:
        before.T.reshape(32, 32).add_(1)
    assert (tracker.peak, tracker.operations, tracker.moved) == (0, 1, 2 * 4 * KIB)


def test_a_value_that_the_host_reads_is_a_read_and_one_on_fake_tensors():
    studio = Studio()
    with studio.traced() as tracker:
        values = torch.stack([torch.rand(4).sum(), torch.rand(4).max()])
        assert values.tolist() == [1.0, 1.0]
        assert bool((values > 0).all()) is True
    assert tracker.reads == 3


def test_attention_is_one_kernel_of_known_arithmetic():
    studio = Studio()
    query, key = studio.empty(2, 3, 1000, 16), studio.empty(2, 3, 500, 16)
    with studio.traced() as tracker:
        torch.nn.functional.scaled_dot_product_attention(query, key, value=key)
    assert tracker.flops == tracker.between == 4 * 2 * 3 * 1000 * 500 * 16
    assert tracker.peak == 2 * 3 * 1000 * 16 * 4  # the answer, and no table of scores
    assert tracker.cost.moved == 4 * 16 * 2 * 3 * (1000 + 500 + 500 + 1000)


def test_costs_add_and_repeat():
    one = Cost(flops=2, moved=3, peak=5, reads=1)
    assert one + Cost(flops=1, peak=4) == Cost(flops=3, moved=3, peak=5, reads=1)
    assert one.times(3) == Cost(flops=6, moved=9, peak=5, reads=3)
    assert one.times(0) == Cost()


def test_the_arithmetic_of_a_cosmos_network_is_the_hand_count():
    """2 for a weight and token, 4 for a pair of tokens and channel."""
    batch, width, text, lora, layers = 2, 96, 64, 16, 3
    call = Call("cosmos_transfer1", TINY["cosmos_transfer1"], SHAPE, batch, 0)
    n = SHAPE[0] * (SHAPE[1] // 2) * (SHAPE[2] // 2)
    attention = layers * 4 * width * (n * n + n * TEXT)
    block = 4 * n * width**2 + 2 * n * width**2 + 2 * TEXT * text * width + 2 * n * 4 * width**2
    block += 3 * (width * lora + 3 * lora * width)
    doors = n * width * 18 * 4 + n * width * 16 * 4 + 4 * width**2 + width * lora + 2 * lora * width
    cost = call.fake()
    assert cost.attention == batch * attention
    assert cost.flops == batch * (attention + 2 * (layers * block + doors))


@pytest.mark.parametrize("name", TINY)
def test_arithmetic_is_that_of_torchs_own_counter(name):
    """On real tensors, where it counts everything but the CPU's attention."""
    call = Call(name, TINY[name], shape_of(name, SHAPE), conditions=1)
    run = call.real()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    cost = call.fake()
    assert cost.attention > 0
    assert cost.flops - cost.attention == counter.get_total_flops()


@pytest.fixture
def one_thread():
    """Attention on a CPU keeps a scratch of its own for every thread, which is none of the network's memory."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name, networks", [*((n, TINY) for n in TRANSFORMERS), *((n, MIDDLE) for n in MIDDLE)])
def test_a_traced_peak_is_the_measured_one(name, networks):
    """Within 5 %: of the same tracker on real tensors, and of what torch's allocator gave out by its profiler."""
    call = Call(name, networks[name], shape_of(name, WIDE))
    traced = call.fake()
    assert traced.peak == pytest.approx(call.tracked().peak, rel=0.05)
    assert traced.peak == pytest.approx(profiled_peaks(call.real())[0], rel=0.05)


def test_what_a_convolution_takes_for_itself_is_not_in_a_trace():
    """Stable Diffusion's tensors are traced; the CPU's convolutions take more, which the profiler sees."""
    call = Call("sd15", TINY["sd15"], SHAPE)
    traced = call.fake().peak
    lasting, everything = profiled_peaks(call.real())
    assert traced == call.tracked().peak == pytest.approx(lasting, rel=0.05)
    assert lasting < everything


def test_the_vace_walk_is_the_librarys():
    """With one context, which is what diffusers' own forward takes."""
    call = Call("wan_vace_1.3b", TINY["wan_vace_1.3b"], SHAPE, controls=1)
    network, _, (x, time, text, hints) = call.real_parts()
    scale = torch.full((len(network.config.vace_layers),), 0.5)
    with torch.no_grad():
        ours = call.release.forward(network, [], x, time, text, hints)
        theirs = network(x, time, text, None, hints[0], scale, return_dict=False)[0]
        without = call.release.forward(network, [], x, time, text, [])
    assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()
    assert (ours - without).abs().max() > 1e-3 * theirs.abs().max()


def test_weights_that_share_a_name_share_their_bytes():
    studio = Studio()
    small = dict(_class_name="T5EncoderModel", d_model=16, d_ff=32, d_kv=8, num_heads=2, num_layers=1, vocab_size=50)
    network = studio.emptied(build(small), torch.bfloat16)
    assert network.shared.weight is network.encoder.embed_tokens.weight
    assert {parameter.dtype for parameter in network.parameters()} == {torch.bfloat16}
