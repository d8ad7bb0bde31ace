"""LPIPS (Zhang et al. 2018) with weights from a local file; nothing is downloaded and no other package is needed.

The file is the state of the authors' own package as safetensors, written once where that package is installed:

    import lpips, safetensors.torch as st
    state = lpips.LPIPS(net="alex").state_dict()     # or net="vgg"
    st.save_file({k: v for k, v in state.items() if not k.startswith("lins.")}, "lpips_alex.safetensors")
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ..devices import chosen_device, finest_dtype
from ..doors import load_tensors
from ..errors import UserError
from .base import Figure, check_pair, mean_figure

_SMALLEST = 32
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
# Per tapped stage: max-pooling before it (kernel, stride) or None, and its convolutions (name, stride, padding), each
# followed by a ReLU. The kernel of the first convolution tells the networks apart.
_STAGES = {
    11: ("alex", (
        (None, (("slice1.0", 4, 2),)),
        ((3, 2), (("slice2.3", 1, 2),)),
        ((3, 2), (("slice3.6", 1, 1),)),
        (None, (("slice4.8", 1, 1),)),
        (None, (("slice5.10", 1, 1),)),
    )),
    3: ("vgg", (
        (None, (("slice1.0", 1, 1), ("slice1.2", 1, 1))),
        ((2, 2), (("slice2.5", 1, 1), ("slice2.7", 1, 1))),
        ((2, 2), (("slice3.10", 1, 1), ("slice3.12", 1, 1), ("slice3.14", 1, 1))),
        ((2, 2), (("slice4.17", 1, 1), ("slice4.19", 1, 1), ("slice4.21", 1, 1))),
        ((2, 2), (("slice5.24", 1, 1), ("slice5.26", 1, 1), ("slice5.28", 1, 1))),
    )),
}  # fmt: skip


class LPIPS:
    """`lpips`: the learned distance of Zhang et al. 2018, equation 1, mean over frames; lower is nearer.

    d = sum over layers l of mean over places of sum over channels of w_l (y_l - y0_l)^2, where y are features
    normalised to unit length over the channels. Frames come in [0, 1] (checked) and are scaled to [-1, 1] here, as the
    network wants. weights: see the module's text; the note holds the network and the first digits of the file's
    SHA-256. UserError for a file that is missing, of another layout, not finite, or whose w are negative, as those of
    an untrained metric are. device: where the network runs, None is the best there is.
    """

    def __init__(self, weights: str | Path, device: str | torch.device | None = None) -> None:
        self.network, self._state, digest = _read(Path(weights))
        device = chosen_device(device)
        self._state = {name: value.to(device) for name, value in self._state.items()}
        self._device, self._frames, self._small = device, 0, False
        self._note = f"{self.network}, weights {digest[:12]}"
        self.series: dict[str, list] = {"lpips": []}

    @torch.no_grad()
    def update(self, output: Tensor, reference: Tensor) -> None:
        """Both (T, H, W, 3) in [0, 1], H and W at least 32."""
        output, reference = check_pair(output, reference, self._frames)
        self._small = min(output.shape[1:3]) < _SMALLEST
        for frames in zip(output, reference) if not self._small else ():
            pair = torch.stack(frames).permute(0, 3, 1, 2).to(self._device)
            self.series["lpips"].append(float(self._distance(pair)))
        self._frames += len(output)

    def _distance(self, pair: Tensor) -> Tensor:
        shift, scale = (pair.new_tensor(v).view(1, 3, 1, 1) for v in (_SHIFT, _SCALE))
        finest = finest_dtype(pair.device)
        x, total = (2 * pair - 1 - shift) / scale, 0.0
        stages = dict(_STAGES.values())[self.network]
        for layer, (pool, convolutions) in enumerate(stages):
            x = F.max_pool2d(x, *pool) if pool else x
            for name, stride, padding in convolutions:
                weight, bias = self._state[f"net.{name}.weight"], self._state[f"net.{name}.bias"]
                x = F.relu(F.conv2d(x, weight, bias, stride, padding))
            unit = x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)
            difference = (unit[0] - unit[1]).square()
            total = total + (difference * self._state[f"lin{layer}.model.1.weight"][0]).sum(0).to(finest).mean()
        return total

    def compute(self) -> dict[str, Figure]:
        absent = f"frames are smaller than {_SMALLEST} x {_SMALLEST}" if self._small else "no frames"
        return {"lpips": mean_figure(self.series["lpips"], "", "lower", absent, self._note)}


def _read(path: Path) -> tuple[str, dict[str, Tensor], str]:
    """Network name, float32 weights and SHA-256 of a file, after making sure that all of it is there and sane."""
    if not path.is_file():
        raise UserError(f"The LPIPS weights {path} do not exist: give a local safetensors file.")
    state = {name: value.float() for name, value in load_tensors(path).items()}
    first = state.get("net.slice1.0.weight", torch.empty(0))
    name, stages = _STAGES.get(first.shape[-1], (None, ())) if first.dim() == 4 else (None, ())
    wanted = {f"net.{conv}.{part}" for _, convs in stages for conv, _, _ in convs for part in ("weight", "bias")}
    wanted |= {f"lin{layer}.model.1.weight" for layer in range(len(stages))}
    if name is None or not wanted <= set(state):
        raise UserError(
            f"{path} holds no LPIPS weights of AlexNet or VGG in the layout of the lpips package "
            f"(missing: {', '.join(sorted(wanted - set(state))[:3]) or 'net.slice1.0.weight'}): "
            "save that package's state."
        )
    state = {key: state[key] for key in wanted}
    if not all(bool(value.isfinite().all()) for value in state.values()):
        raise UserError(f"The LPIPS weights {path} hold NaN or infinite values: give an intact file.")
    if any(bool((value < 0).any()) for key, value in state.items() if key.startswith("lin")):
        raise UserError(f"The layer weights in {path} are partly negative, as no trained ones are: give others.")
    return name, state, hashlib.sha256(path.read_bytes()).hexdigest()
