"""Control maps made worse, as estimated ones are: noise, holes, blur, wrong classes, and maps that come late.

Maps are {"edge": (T, H, W), "depth": (T, H, W), "segmentation": (T, H, W, 3)} in [0, 1]; each function returns new
ones. Random draws are of the seed given.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline_core.conditions.edges import CANNY_PRESETS, edge_map
from pipeline_core.conditions.segmentation import CARLA_TAGS

Maps = dict[str, Tensor]
BLOCK = 16  # pixels a side of a hole
COLOURS = torch.tensor([colour for _, colour in CARLA_TAGS.values()]) / 255


def noisy(maps: Maps, share: float, seed: int) -> Maps:
    """Depth with noise of this standard deviation; this share of the pixels of the others says something else."""
    draw = torch.Generator().manual_seed(seed)
    depth, edge, colours = maps["depth"], maps["edge"], maps["segmentation"]
    wrong = torch.rand(edge.shape, generator=draw) < share
    others = COLOURS[torch.randint(len(COLOURS), edge.shape, generator=draw)]
    return {
        "edge": torch.where(wrong, 1 - edge, edge),
        "depth": (depth + share * torch.randn(depth.shape, generator=draw)).clamp(0, 1),
        "segmentation": torch.where(wrong[..., None], others, colours),
    }


def holed(maps: Maps, share: float, seed: int) -> Maps:
    """This share of the blocks of every frame is empty in every map, other blocks in every frame."""
    draw = torch.Generator().manual_seed(seed)
    frames, height, width = maps["edge"].shape
    rows, columns = -(-height // BLOCK), -(-width // BLOCK)
    whole = torch.rand(frames, rows, columns, generator=draw) >= share
    whole = whole.repeat_interleave(BLOCK, 1).repeat_interleave(BLOCK, 2)[:, :height, :width]
    return {name: values * (whole if values.dim() == 3 else whole[..., None]) for name, values in maps.items()}


def blurred(maps: Maps, sigma: float) -> Maps:
    """Gaussian blur of this standard deviation in pixels."""
    reach = int(3 * sigma)
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma).square())
    taps = taps / taps.sum()

    def smooth(values: Tensor) -> Tensor:
        planes = values[:, None] if values.dim() == 3 else values.movedim(-1, 1)
        flat = planes.flatten(0, 1)[:, None]
        flat = F.conv2d(F.pad(flat, (reach, reach, reach, reach), "replicate"), taps.view(1, 1, 1, -1))
        flat = F.conv2d(flat, taps.view(1, 1, -1, 1)).clamp(0, 1)
        planes = flat[:, 0].view(planes.shape)
        return planes[:, 0] if values.dim() == 3 else planes.movedim(1, -1)

    return {name: smooth(values) for name, values in maps.items()}


def misnamed(maps: Maps, share: float, seed: int) -> Maps:
    """This share of the classes in view, all over the clip, has the colour of another class."""
    draw = torch.Generator().manual_seed(seed)
    colours, labels = maps["segmentation"].flatten(0, 2).unique(dim=0, return_inverse=True)
    wrong = torch.randperm(len(colours), generator=draw)[: round(share * len(colours))]
    painted = colours.clone()
    for index in wrong.tolist():
        others = COLOURS[(COLOURS - colours[index]).abs().sum(1) > 1e-3]
        painted[index] = others[int(torch.randint(len(others), (1,), generator=draw))]
    return maps | {"segmentation": painted[labels].view(maps["segmentation"].shape)}


def late(maps: Maps, frames: int) -> Maps:
    """Every map that many frames late; the first ones repeat."""
    first = {name: values[:1].expand(frames, *values.shape[1:]) for name, values in maps.items()}
    return {name: torch.cat([first[name], values[:-frames]]) for name, values in maps.items()}


def fit(maps: Maps, frames: Tensor) -> float:
    """How much more often than by chance outlines of the depth and class maps lie within a pixel of an edge of the
    clip (T, H, W, 3): 1 is always, 0 as often as by chance. Known before anything runs."""
    near = F.max_pool2d(edge_map(frames, *CANNY_PRESETS["low"])[:, None], 3, 1, 1)[:, 0] > 0
    chance = float(near.float().mean())
    shares = []
    for values in (maps["depth"][..., None], maps["segmentation"]):
        steps = torch.zeros(near.shape)
        steps[:, :, 1:] = values.diff(dim=2).abs().amax(-1)
        steps[:, 1:] = steps[:, 1:].maximum(values.diff(dim=1).abs().amax(-1))
        outlines = steps > 0.05
        shares.append(float(near[outlines].float().mean()) if bool(outlines.any()) else chance)
    return (sum(shares) / len(shares) - chance) / (1 - chance)
