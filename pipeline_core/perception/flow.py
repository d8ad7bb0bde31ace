"""Optical flow estimated from the pixels, for clips whose buffers have none.

Two estimators, both on the CPU or wherever their weights are: RAFT (torchvision's, with a local weight file), and
TV-L1 (scikit-image), which needs no weights. scikit-image is an optional package on purpose: installing it exchanges
neither torch nor numpy nor OpenCV, which a wheel of OpenCV, about as exact and faster, does to a ComfyUI that has
another one.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..devices import chosen_device
from ..doors import load_tensors
from ..errors import UserError

Flow = Callable[[Tensor], Tensor]

# Pixels a frame is shrunk to before TV-L1: the flow goes to latent cells, which are coarser still.
_AREA = 4 * 96 * 160
# As exact on the world's drives as scikit-image's own 5 warps of 10 iterations, in a third of the time.
_TVL1 = {"num_warp": 3, "num_iter": 5}
_RAFT_SIDE = 128  # RAFT looks at its features on four scales, and needs this many pixels for them
_LIGHT = (0.2126, 0.7152, 0.0722)


def estimated_flow(frames: Tensor) -> Tensor:
    """Forward flow (T, H, W, 2) in pixels of frames (T, H, W, 3) in [0, 1] by TV-L1; the last frame's is 0.

    Raises UserError where scikit-image is not installed.
    """
    require_flow()
    from skimage.registration import optical_flow_tvl1

    height, width = frames.shape[1:3]
    scale = min(1.0, (_AREA / (height * width)) ** 0.5)
    size = max(16, round(height * scale)), max(16, round(width * scale))
    light = (frames.float().cpu() @ torch.tensor(_LIGHT))[:, None]
    if size != (height, width):
        light = F.interpolate(light, size=size, mode="bilinear", antialias=True)
    grey = light[:, 0].numpy()
    pairs = [torch.from_numpy(optical_flow_tvl1(a, b, **_TVL1)) for a, b in zip(grey, grey[1:])]
    return _finished(torch.stack([*pairs, torch.zeros(2, *size)]).flip(1), (height, width)).to(frames.device)


def flow_can_be_estimated() -> bool:
    """Whether what estimates flow without weights is installed."""
    return find_spec("skimage") is not None


def require_flow() -> None:
    """UserError where nothing can estimate flow."""
    if not flow_can_be_estimated():
        raise UserError(
            "Handover motion without the clip's buffers and stitch flow estimate optical flow, and scikit-image, which "
            "does, is not installed: run pip install scikit-image, give a RAFT file, or change handover and stitch."
        )


def load_raft(path: str | Path, device: str | torch.device | None = None) -> Flow:
    """Forward flow, as `estimated_flow` gives it, by torchvision's RAFT with the weights of a safetensors file, on
    `device` (None is the best there is).

    The file is torchvision's raft_large or raft_small, its state dict saved as safetensors. Raises UserError where
    torchvision is missing and for any other file.
    """
    path, device = Path(path), chosen_device(device)
    if find_spec("torchvision") is None:
        raise UserError(f"{path} is for RAFT, which torchvision has and which is not installed: leave the file out.")
    if path.suffix != ".safetensors" or not path.is_file():
        raise UserError(f"{path} is no .safetensors file: give RAFT's weights, saved as safetensors.")
    from torchvision.models.optical_flow import raft_large, raft_small

    weights = load_tensors(path)
    try:
        first = weights["feature_encoder.convnormrelu.0.weight"]
        model = (raft_large if len(first) == 64 else raft_small)(weights=None)
        model.load_state_dict(weights)
    except (KeyError, RuntimeError) as error:
        line = str(error).strip().splitlines()[0]
        raise UserError(f"{path} holds no weights of torchvision's RAFT ({line}): give raft_large's or raft_small's.")
    model = model.to(device).eval().requires_grad_(False)

    @torch.no_grad()
    def estimate(frames: Tensor) -> Tensor:
        height, width = frames.shape[1:3]
        size = tuple(max(_RAFT_SIDE, 8 * round(side / 8)) for side in (height, width))
        planes = F.interpolate(frames.movedim(-1, 1).float(), size=size, mode="bilinear", antialias=True).to(device)
        planes = 2 * planes - 1
        pairs = [model(a[None], b[None])[-1][0].cpu() for a, b in zip(planes, planes[1:])]
        return _finished(torch.stack([*pairs, torch.zeros(2, *size)]), (height, width)).to(frames.device)

    return estimate


def _finished(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """Flow (T, 2, h, w) in its own pixels as (T, H, W, 2) in those of `size`."""
    scale = torch.tensor([size[1] / flow.shape[-1], size[0] / flow.shape[-2]])
    return F.interpolate(flow.float(), size=size, mode="bilinear").movedim(1, -1) * scale
