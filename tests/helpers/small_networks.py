"""Small networks of every family that the plan knows, real and on fake tensors, with one call each."""

import torch

from pipeline_core.models.plan.forwards import Transfer1Branch
from pipeline_core.models.plan.networks import Studio, build, read_config
from pipeline_core.models.plan.releases import RELEASES
from pipeline_core.models.plan.tracker import Tracker

COSMOS = dict(num_attention_heads=4, attention_head_dim=24, num_layers=3, text_embed_dim=64, adaln_lora_dim=16)
PROJECTED = dict(crossattn_proj_in_channels=128, encoder_hidden_states_channels=64)
PROJECTED |= dict(img_context_dim_in=32, img_context_dim_out=96)
WAN = dict(num_attention_heads=4, attention_head_dim=24, num_layers=4, ffn_dim=256, freq_dim=32, text_dim=64)
SD = dict(block_out_channels=[32, 64, 64, 64], cross_attention_dim=32, norm_num_groups=8, layers_per_block=1)
# Release -> (changes of the network's configuration, of the branch's, width of the text).
TINY = {
    "cosmos_transfer1": (COSMOS, {**COSMOS, "num_layers": 3}, 64),
    "cosmos_transfer25": (
        {**COSMOS, **PROJECTED, "num_layers": 4, "controlnet_block_every_n": 2, "img_context_num_tokens": 8},
        {**COSMOS, **PROJECTED, "num_layers": None, "n_controlnet_blocks": 2, "model_channels": 96},
        128,
    ),
    "wan_vace_1.3b": ({**WAN, "vace_layers": [0, 2]}, None, 64),
    "wan22_fun": (WAN, None, 64),
    "ltxv_13b": (
        dict(num_attention_heads=4, attention_head_dim=24, cross_attention_dim=96, num_layers=3, caption_channels=64),
        None,
        64,
    ),
    "cosmos3_nano": (
        dict(hidden_size=64, intermediate_size=96, num_attention_heads=4, num_key_value_heads=2, head_dim=16)
        | dict(num_hidden_layers=3, vocab_size=300, rope_scaling={"mrope_section": [4, 2, 2]}),
        None,
        0,
    ),
    "sd15": (SD, {**SD, "conditioning_embedding_out_channels": [8, 8, 16, 32]}, 32),
}
MIDDLE = {
    "cosmos_transfer25": (
        {**TINY["cosmos_transfer25"][0], "num_attention_heads": 8, "attention_head_dim": 48},
        {**TINY["cosmos_transfer25"][1], "num_attention_heads": 8, "attention_head_dim": 48, "model_channels": 384},
        128,
    ),
    "wan_vace_1.3b": ({**WAN, "num_attention_heads": 8, "attention_head_dim": 48, "vace_layers": [0, 2]}, None, 64),
}
MIDDLE["cosmos_transfer25"][0]["img_context_dim_out"] = MIDDLE["cosmos_transfer25"][1]["img_context_dim_out"] = 384
TEXT = 16


class Call:
    """One call of a small network of a release, on fake tensors or on real ones of the CPU, in 32 bits."""

    def __init__(self, name, changes, shape, conditions=2, controls=2):
        self.release, self.shape, self.conditions = RELEASES[name], shape, conditions
        self.controls = min(controls, self.release.most_controls)
        self.network_changes, self.branch_changes, self.width = changes

    def config(self, name, changes):
        return {key: value for key, value in {**read_config(name), **changes}.items() if value is not None}

    def networks(self):
        """(network, branches) on the meta device."""
        network = build(self.config(self.release.network, self.network_changes))
        if not self.release.branch:
            return network, []
        branches = [build(self.config(self.release.branch, self.branch_changes)) for _ in range(self.controls)]
        return network, [Transfer1Branch(b) if self.release.name == "cosmos_transfer1" else b for b in branches]

    def inputs(self, empty):
        t, h, w = self.shape
        size = (t, h * 8, w * 8) if self.release.hint == 3 else self.shape
        x = empty(self.conditions, self.release.family.channels, *self.shape)
        hints = [empty(self.conditions, self.release.hint, *size) for _ in range(self.controls)]
        words = torch.zeros(self.conditions, TEXT, dtype=torch.int64)
        return x, empty(self.conditions), empty(self.conditions, TEXT, self.width) if self.width else words, hints

    def fake(self):
        """The Cost of the call on fake tensors."""
        studio = Studio()
        network, branches = self.networks()
        network = studio.emptied(network, torch.float32)
        branches = [studio.emptied(branch, torch.float32) for branch in branches]
        inputs = self.inputs(studio.empty)
        with studio.traced() as tracker:
            self.release.forward(network, branches, *inputs)
        return tracker.cost

    def real_parts(self, seed=0):
        """(network, branches, inputs) of real tensors."""
        generator = torch.Generator().manual_seed(seed)
        network, branches = self.networks()
        for part in (network, *branches):
            _fill(part, generator)
        return network, branches, self.inputs(lambda *shape: torch.rand(shape, generator=generator))

    def real(self):
        """A function that makes the call on real tensors."""
        network, branches, inputs = self.real_parts()
        return lambda: self.release.forward(network, branches, *inputs)

    def tracked(self):
        """The Cost of the call on real tensors."""
        run, tracker = self.real(), Tracker()
        with torch.no_grad(), tracker:
            run()
        return tracker.cost


def _fill(network, generator):
    """Random weights in the place of the meta ones; buffers, which some networks keep, are made of zeros."""
    for module in network.modules():
        for name, weight in module._parameters.items():
            if weight is not None:
                drawn = torch.randn(weight.shape, generator=generator) * 0.05
                module._parameters[name] = torch.nn.Parameter(drawn, False)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.zeros(buffer.shape, dtype=buffer.dtype)
    return network.eval()


def profiled_peaks(run):
    """The most bytes alive at once that torch's allocator gave out during `run`, by the profiler's own events: without
    what a kernel takes for itself and gives back before it returns (oneDNN's convolutions copy what they read into an
    order of their own), and with it."""
    from torch.profiler import ProfilerActivity, profile

    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    events = sorted(_allocations(profiler.profiler.kineto_results.experimental_event_tree()), key=lambda e: e[0])
    taken, scratch = {}, set()
    for place, (_, pointer, size, kernel) in enumerate(events):
        if size > 0:
            taken[pointer] = place, kernel
        elif pointer in taken:
            start, owner = taken.pop(pointer)
            scratch |= {start, place} if kernel is not None and kernel == owner else set()
    lasting = [size for place, (_, _, size, _) in enumerate(events) if place not in scratch]
    return _highest(lasting), _highest([size for _, _, size, _ in events])


def _allocations(nodes):
    """(time, pointer, bytes, the call that asked for them) of every allocation below these nodes."""
    for node in nodes:
        if node.tag.name == "Allocation":
            facts = node.extra_fields
            yield node.start_time_ns, facts.ptr, facts.alloc_size, node.parent and node.parent.id
        yield from _allocations(node.children)


def _highest(sizes):
    now = peak = 0
    for size in sizes:
        now += size
        peak = max(peak, now)
    return peak
