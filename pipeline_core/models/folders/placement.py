"""Where networks are while they work: all on the device, in turns, or block by block from main memory."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import torch

# Of these, not even the matrices are held in one byte; see memory.is_matrix.
KEPT = ("patch_embed", "time_embed", "norm", "proj_in", "proj_out", "img_context_proj", "embed_tokens", "lora_")


class Turns:
    """Groups of networks that take turns on the device; between two turns of one group nothing is moved."""

    def __init__(self, groups: Mapping[str, Sequence[torch.nn.Module]], device: torch.device):
        self.groups, self.device, self.here = groups, device, ""

    def enter(self, name: str) -> None:
        """Have this group on the device and no other; where it does not fit, no group, so that one can try again."""
        if name == self.here:
            return
        self._rest(self.here)
        self.here = ""
        try:
            for network in self.groups.get(name, ()):
                network.to(self.device)
        except BaseException:
            self._rest(name)  # what did fit would stand in the way of the next group
            raise
        self.here = name

    def _rest(self, name: str) -> None:
        for network in self.groups.get(name, ()):
            network.to("cpu")


def in_one_byte(network: torch.nn.Module, compute: torch.dtype) -> torch.nn.Module:
    """Hold a network's matrices as float8_e4m3fn and compute in `compute`: diffusers' layerwise casting."""
    from diffusers.hooks import apply_layerwise_casting

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        apply_layerwise_casting(network, torch.float8_e4m3fn, compute, skip_modules_pattern=KEPT, non_blocking=False)
    return network


def streamed(network: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """Bring each layer from main memory when it is called: diffusers' group offloading."""
    from diffusers.hooks import apply_group_offloading

    apply_group_offloading(
        network,
        onload_device=device,
        offload_device=torch.device("cpu"),
        offload_type="leaf_level",
        use_stream=device.type == "cuda",
    )
    return network
