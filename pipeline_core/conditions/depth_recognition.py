"""In which form depth pictures store their metres, told from the pictures: bits, channels, and the road they show."""

from __future__ import annotations

import numpy as np

from ..errors import UserError
from .class_recognition import recognise_classes
from .depth import FAR_PLANE
from .encodings import DEPTH_FORMATS
from .ground import NEAR, Ground, fit_ground
from .recognised import Recognised, unclear

GREY = {
    "carla_log": "CARLA's logarithmic grey",
    "carla_grey": "CARLA's linear grey, 3.9 m a code",
    "transfuser": "grey up to 50 m, as TransFuser and PDM-Lite store it",
    "bench2drive": "grey, a code a metre, as Bench2Drive stores it",
    "cosmos_log": "logarithmic grey, near is white, of CARLA's first Cosmos example",
    "cosmos_inverse": "inverse depth, near is white, in no unit",
    "cosmos_linear": "linear grey, near is white, of CARLA's Cosmos capture",
}
CAPTURE = ("cosmos_inverse", "cosmos_linear")  # what a Cosmos capture with a manifest holds
_UNITLESS = ("cosmos_inverse",)
_CLEARLY = 2.0  # times: how much better the best reading must fit the ground than the next
_FEW, _ROAD = 64, 200.0  # colours and metres: what nearly flat depth pictures may have at most
_STEADY = 1.5  # times: how much oftener the lowest byte of 24 changes than the highest


def recognise_depth(
    pictures: list[np.ndarray], source: str, capture: bool = False, beside: str = "", scale: float = 1.0
) -> Recognised:
    """The depth format of pictures that `read_picture` gave.

    source: what to call them; capture: they are a video of a Cosmos capture; beside: the semantic format found beside
    them, which tells whose 16-bit depth it is; scale: the metres of one unit, where a user said it (not 1). UserError
    where they fit several formats or none.
    """
    kind = pictures[0].dtype
    if kind == np.float32:
        return _floats(pictures, source, scale)
    if kind == np.uint16:
        return _wide(pictures, source, beside, scale)
    stack = np.stack([picture if picture.ndim == 3 else picture[..., None] for picture in pictures]).astype(np.int16)
    if int(np.ptp(stack, axis=-1).max()) <= 3:
        return _grey(stack[..., 0], source, capture)
    return _colour(pictures, source)


def _grey(codes: np.ndarray, source: str, capture: bool) -> Recognised:
    fits: dict[str, Ground] = {}
    for name in CAPTURE if capture else GREY:
        table = DEPTH_FORMATS[name](np.arange(256, dtype=np.uint8)[None])[0].double().numpy()
        between = (table[1:] + table[:-1]) / 2
        ends = np.concatenate([[table[0]], between, [table[-1]]]).clip(1e-6)
        steps = np.abs(np.log(ends[1:] / ends[:-1])) / 2
        ground = fit_ground(table[codes], steps[codes])
        if ground is not None and (ground.plausible if name in _UNITLESS else ground.metric):
            fits[name] = ground
    best = sorted(fits, key=lambda name: fits[name].error)
    if len(best) == 1 or (best and fits[best[0]].error * _CLEARLY < fits[best[1]].error):
        return Recognised(best[0], f"8-bit grey; read as {GREY[best[0]]} the road is flat{_away(best[0], fits)}")
    if capture and not best:
        remark = "the pictures show no flat road to tell inverse from linear depth: the client's default is taken"
        return Recognised("cosmos_inverse", "8-bit grey of a Cosmos capture", (remark,))
    if best:
        raise unclear(source, "depth", "is 8-bit grey depth that fits several forms", best)
    raise unclear(source, "depth", "is 8-bit grey, but in no known form does it show a flat road", list(GREY))


def _away(name: str, fits: dict[str, Ground]) -> str:
    return "" if name in _UNITLESS else f" and begins {fits[name].near:.1f} m away"


def _colour(pictures: list[np.ndarray], source: str) -> Recognised:
    stack = np.stack(pictures)
    readings = {name: np.stack([DEPTH_FORMATS[name](picture).numpy() for picture in pictures]) for name in _ORDERS}
    flat = {name: fit_ground(depth) for name, depth in readings.items()}
    good = [name for name, ground in flat.items() if ground is not None and ground.metric]
    if len(good) == 1:
        why = f"24 bits, {_ORDERS[good[0]]}; the road is flat and begins {flat[good[0]].near:.1f} m away"
        return Recognised(good[0], why)
    # Without a road: the lowest byte changes from pixel to pixel, the highest hardly ever.
    red, blue = (_changes(stack[..., channel]) for channel in (0, 2))
    if max(red, blue) >= _STEADY * min(red, blue):
        name = "carla" if red > blue else "carla_bgr"
        changing = "red changes most, blue least" if red > blue else "blue changes most, red least"
        return Recognised(name, f"24 bits, {_ORDERS[name]}: {changing}")
    # Nearly flat pictures: depth that is far beyond what a road shows is the wrong order.
    lower = {name: float(np.median(depth[:, depth.shape[1] // 2 :])) for name, depth in readings.items()}
    near, far = sorted(lower, key=lambda name: lower[name])
    few = len(np.unique(stack.reshape(-1, 3), axis=0)) <= _FEW
    if few and 2 * lower[near] < lower[far] and lower[near] < _ROAD and not _is_painted(pictures):
        remark = "the pictures show little; that they are depth is taken from their place"
        return Recognised(near, f"24 bits, {_ORDERS[near]}: the lower half is {lower[near]:.0f} m away", (remark,))
    seen = "holds colours that are no 24-bit depth (a camera's pictures, classes, or depth painted in a colour map)"
    raise unclear(source, "depth", seen, [])


def _is_painted(pictures: list[np.ndarray]) -> bool:
    try:
        return bool(recognise_classes(pictures, ""))
    except UserError:
        return False


_ORDERS = {"carla": "lowest byte in red", "carla_bgr": "lowest byte in blue (saved with red and blue swapped)"}


def _changes(channel: np.ndarray) -> float:
    """The share of neighbouring pixels (T, H, W) that differ."""
    return (float((channel[:, 1:] != channel[:, :-1]).mean()) + float((np.diff(channel, axis=2) != 0).mean())) / 2


def _wide(pictures: list[np.ndarray], source: str, beside: str, scale: float) -> Recognised:
    stack = np.stack([picture if picture.ndim == 2 else picture[..., 0] for picture in pictures]).astype(np.float64)
    centimetres = "vkitti2" if pictures[0].ndim == 2 else "synthia"
    if scale != 1:
        return Recognised("png16", f"16-bit codes of {scale:g} m, as was said", scale=scale)
    if beside.startswith(("vkitti2", "synthia")):
        return Recognised(centimetres, f"16-bit centimetres, as the classes beside it are {beside.split()[0]}'s")
    if float((stack[:, stack.shape[1] // 2 :] == 0).mean()) > 0.5:
        seen = "is 16-bit depth with most pixels unmeasured, as KITTI's laser depth (png16, --depth-scale 0.00390625)"
        raise unclear(source, "depth", seen, [])
    units = {f"{centimetres} (centimetres)": 0.01, "png16 with --depth-scale 0.001 (millimetres)": 0.001}
    units["carla_grey16 (1000 m in 65535)"] = FAR_PLANE / 65535
    ground = fit_ground(np.where((stack == 0) | (stack == 65535), FAR_PLANE / 0.001, stack) * 0.01)
    fitting = list(units)
    if ground is not None and ground.plausible:
        fitting = [name for name, unit in units.items() if NEAR[0] <= ground.near * unit / 0.01 <= NEAR[1]]
    if len(fitting) == 1:
        name = fitting[0].split()[0]
        near = ground.near * units[fitting[0]] / 0.01
        return Recognised(
            name,
            f"16-bit codes; as {fitting[0].split('(')[1].rstrip(')')} the road begins {near:.1f} m away",
            scale=0.001 if name == "png16" else None,
        )
    raise unclear(source, "depth", "is 16-bit depth of a unit that the pictures do not tell", fitting)


def _floats(pictures: list[np.ndarray], source: str, scale: float) -> Recognised:
    stack = np.stack(pictures).astype(np.float64) * scale
    stack = np.where(np.isfinite(stack), stack, FAR_PLANE / scale)
    if scale != 1:
        return Recognised("exr", f"float depth in units of {scale:g} m, as was said", scale=scale)
    if float(np.quantile(stack, 0.99)) <= 1.0:
        seen = "holds float depth from 0 to 1, no metres"
        hint = "(--depth-scale 1000 for CARLA's share of 1000 m; a graphics card's z needs its near and far plane)"
        raise unclear(source, "depth", f"{seen} {hint}", [])
    ground = fit_ground(stack)
    if ground is None or not ground.plausible:
        return Recognised("exr", "float depth", ("taken for metres: the pictures show no flat road to check it by",))
    if ground.metric:
        return Recognised("exr", f"float depth; as metres the road is flat and begins {ground.near:.1f} m away")
    hints = [f"--depth-scale {unit:g}" for unit in (0.01, 0.001) if NEAR[0] <= ground.near * unit <= NEAR[1]]
    seen = f"holds float depth whose road would begin {ground.near:.0f} m away, so no metres"
    raise unclear(source, "depth", f"{seen}{f' ({hints[0]} fits)' if hints else ''}", [])
