"""The control maps of one window of a clip: from its pixels and its simulator buffers, or given ready-made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UserError
from .blur import blur_map
from .buffers import Buffers
from .conventions import EMBEDDED, map_convention
from .depth import DisparityLimits, depth_limits, disparity_map
from .edges import edge_map
from .estimated import Estimators
from .segmentation import TAG, segmentation_map

_CHUNK = 16


def clip_disparity_limits(buffers: Buffers, convention: str = EMBEDDED) -> DisparityLimits:
    """Disparity limits of the whole clip, read in chunks: one scale for every window. convention: see `window_maps`."""
    starts = range(0, buffers.frames, _CHUNK)
    depth = (buffers.depth(start, min(start + _CHUNK, buffers.frames)) for start in starts)
    return depth_limits(depth, map_convention(convention).depth)


def available_controls(buffers: Buffers | None, estimators: Estimators) -> tuple[str, ...]:
    """Controls that can be made: edges and the blurred clip always, the others from buffers or from a model."""
    channels = buffers.channels if buffers is not None else ()
    depth = "depth" in channels or estimators.depth is not None
    segmentation = "semantic" in channels or estimators.segmentation is not None
    return ("edge", "vis", *(["depth"] if depth else []), *(["segmentation"] if segmentation else []))


def window_maps(
    controls: Iterable[str],
    frames: Tensor,
    start: int,
    buffers: Buffers | None,
    estimators: Estimators,
    limits: DisparityLimits | None,
    convention: str = EMBEDDED,
    classes: Tensor | None = None,
) -> dict[str, Tensor]:
    """Maps for the window whose first global frame is `start`, at the frames' size.

    frames (T, H, W, 3) in [0, 1] at the model's size, padding frames included; limits: of the whole clip; convention:
    the family whose maps these are, one of CONVENTIONS (a model's preset names it). Returns {"edge": (T, H, W),
    "depth": (T, H, W) near = 1, "segmentation": (T, H, W, 3), "vis": (T, H, W, 3) blurred}, each in [0, 1] on the
    frames' device; the buffers go before the models. classes: what `window_classes` gave, where that was asked already.
    Where traffic lights are known, edges ignore their inside: which lamp is lit is not structure.
    """
    controls, count, size = tuple(controls), len(frames), frames.shape[1:3]
    if classes is None:
        classes = window_classes(frames, start, buffers, estimators)
    if classes is not None:
        classes = _fit(classes.float()[:, None], size, "nearest")[:, 0].to(frames.device, torch.uint8)
    maps, made_for = {}, map_convention(convention)
    for name in controls:
        if name == "vis":
            maps[name] = blur_map(frames, table=made_for.blur)
        elif name == "edge":
            ignore = None if classes is None else classes == TAG["traffic light"]
            maps[name] = edge_map(frames, ignore=ignore, operator=made_for.edges)
        elif name == "depth" and buffers is not None and "depth" in buffers.channels:
            depth = _window(buffers.depth, buffers.frames, start, count)
            maps[name] = _fit(disparity_map(depth, limits)[:, None], size, "area")[:, 0].to(frames.device)
        elif name == "depth":
            maps[name] = disparity_map(estimators.depth(frames), limits)
        else:
            maps[name] = segmentation_map(classes)
    return maps


def window_classes(frames: Tensor, start: int, buffers: Buffers | None, estimators: Estimators) -> Tensor | None:
    """CARLA tags uint8 (T, h, w) of a window, of the buffers in their own size, or else by the model in the frames';
    None where neither knows any. frames, start: as `window_maps` takes them."""
    if buffers is not None and "semantic" in buffers.channels:
        return _window(buffers.classes, buffers.frames, start, len(frames))
    return None if estimators.segmentation is None else estimators.segmentation(frames)


def check_maps(maps: Mapping[str, Tensor], frames: int, size: tuple[int, int]) -> None:
    """UserError unless every ready-made map is (T, H, W) or (T, H, W, 3) in [0, 1] with the clip's frames and size."""
    for name, values in maps.items():
        if values.dim() not in (3, 4) or values.shape[3:] not in ((), (3,)) or not values.is_floating_point():
            raise UserError(
                f"The {name} map came as {values.dtype} of shape {tuple(values.shape)}: give floats (T, H, W, 3)."
            )
        if (len(values), *values.shape[1:3]) != (frames, *size):
            raise UserError(
                f"The {name} map has {len(values)} frames of {values.shape[2]}x{values.shape[1]} and the clip {frames} "
                f"of {size[1]}x{size[0]}: change {name} to the map of this clip."
            )
        low, high = (float(v) for v in torch.aminmax(values))
        if not (low >= -1e-3 and high <= 1 + 1e-3):  # a NaN fails both comparisons
            raise UserError(
                f"The {name} map has values from {low:.3g} to {high:.3g} but they must be in [0, 1]: change {name}."
            )


def given_maps(
    maps: Mapping[str, Tensor], controls: Iterable[str], start: int, count: int, size: tuple[int, int]
) -> dict[str, Tensor]:
    """What `window_maps` makes, cut from ready-made maps of the whole clip; controls without such a map are left out.

    maps: as `check_maps` takes them. Frames beyond the clip's end repeat its last one; another size is averaged to
    (height, width), except for segmentation, whose colours must stay pure.
    """
    cut = {}
    for name in controls:
        if name in maps:
            values = _window(lambda a, b, whole=maps[name]: whole[a:b], len(maps[name]), start, count).float()
            planes = values[:, None] if values.dim() == 3 else values.movedim(-1, 1)
            planes = _fit(planes, size, "nearest" if name == "segmentation" else "area")
            cut[name] = planes[:, 0] if values.dim() == 3 else planes.movedim(1, -1)
    return cut


def _window(read, total: int, start: int, count: int) -> Tensor:
    """Buffer frames start .. start + count - 1; the clip's last frame repeated beyond its end, like the pixels."""
    values = read(start, min(start + count, total))
    missing = count - len(values)
    return torch.cat([values, values[-1:].expand(missing, *values.shape[1:])]) if missing else values


def _fit(planes: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    return planes if tuple(planes.shape[-2:]) == tuple(size) else F.interpolate(planes, size=tuple(size), mode=mode)
