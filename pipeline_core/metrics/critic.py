"""The embedded critic: a small convolutional network that tells photoreal frames from simulator renders."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..devices import chosen_device
from ..doors import load_tensors, read_json
from ..errors import UserError
from .base import check_frames
from .realism import Critic

EMBEDDED_CRITIC = Path(__file__).resolve().parents[2] / "models" / "critic"
WEIGHTS, CONFIG = "critic.safetensors", "config.json"
BATCH = 16


class CriticNetwork(torch.nn.Module):
    """Frames (N, 3, H, W) in [0, 1] -> logit of "photo" (N,) and features (N, F): mean and spread over the frame.

    widths: channels of the 3x3 layers; all but the first halve the resolution. F is twice the last width.
    """

    def __init__(self, widths: tuple[int, ...] = (24, 40, 64, 96)) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList()
        for i, width in enumerate(widths):
            inputs = widths[i - 1] if i else 3
            self.layers.append(torch.nn.Conv2d(inputs, width, 3, stride=2 if i else 1, padding=1))
        self.head = torch.nn.Linear(2 * widths[-1], 1)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        x = frames * 2 - 1
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.1)
        # Pooling over the frame makes any size valid; the spread tells texture from flat colour.
        spread = (x.var((2, 3), correction=0) + 1e-4).sqrt()
        features = torch.cat([x.mean((2, 3)), spread], 1)
        return self.head(features)[:, 0], features


def load_critic(folder: str | Path | None = None, device: str | torch.device | None = None) -> Critic:
    """Callable frames (N, H, W, 3) in [0, 1] -> (logit of "photo" (N,), features (N, F)), float32.

    folder: None is the embedded critic in models/critic; device: None is the best there is, where the answers come
    out too. Any H, W from 16. UserError where a file is missing or
    does not fit. sigmoid(logit) is a probability among this world's renders only, no measure of real photographs.
    """
    folder = Path(folder) if folder is not None else EMBEDDED_CRITIC
    device = chosen_device(device)
    network = _read_network(folder).to(device)

    @torch.no_grad()
    def critic(frames: Tensor) -> tuple[Tensor, Tensor]:
        frames = check_frames(frames, "frames")
        if min(frames.shape[1:3]) < 16:
            raise UserError(f"Frames of {frames.shape[1]}x{frames.shape[2]} came; the critic needs at least 16x16.")
        parts = [network(part.movedim(-1, 1).to(device, torch.float32)) for part in frames.split(BATCH) if len(part)]
        return torch.cat([logit for logit, _ in parts]), torch.cat([features for _, features in parts])

    return critic


def save_critic(network: CriticNetwork, folder: Path, config: dict) -> None:
    """Write weights and config; `config` must hold the network's `widths`, the rest is provenance."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, str(folder / WEIGHTS))
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _read_network(folder: Path) -> CriticNetwork:
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise UserError(f"{folder} holds no {name}; give the folder of a critic.")
    try:
        network = CriticNetwork(tuple(read_json(folder / CONFIG, "give an intact folder")["widths"]))
        network.load_state_dict(load_tensors(folder / WEIGHTS))
    except UserError:
        raise
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise UserError(f"The critic in {folder} cannot be read ({error}); give an intact folder.") from error
    if not all(bool(value.isfinite().all()) for value in network.parameters()):
        raise UserError(f"The critic in {folder} holds NaN or infinite weights; give an intact folder.")
    return network.eval().requires_grad_(False)
