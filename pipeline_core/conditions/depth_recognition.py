"""In which form depth pictures store their metres, told from the pictures: bits, channels, and the road they show."""

from __future__ import annotations

import numpy as np
import torch

from ..errors import UserError
from .class_recognition import recognise_classes
from .depth import FAR_PLANE
from .encodings import DEPTH_FORMATS
from .ground import MAYBE, PERHAPS, Ground, fit_ground
from .painted import colour_counts
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
_ORDERS = {"carla": "lowest byte in red", "carla_bgr": "lowest byte in blue (saved with red and blue swapped)"}
CAPTURE = ("cosmos_inverse", "cosmos_linear")  # what a Cosmos capture with a manifest holds
_UNITLESS = ("cosmos_inverse",)
_SCALED = ("carla_grey", "transfuser", "bench2drive", "cosmos_linear")  # alike but for the metres of a code
_CLOSELY = 0.6  # the error of their fit: above it another form has been taken for a scale
_REACH = 20.0  # metres: how far a street is seen at the least
_AFAR, _AFAR_SHARE = 100.0, 0.1  # metres, and the share of what is no sky that may be farther
_INVERSE, _LINEAR = 200, 240  # codes of the lower half: below, inverse depth; above, linear depth
_CLEARLY = 2.0  # times: how much better the best reading must fit the ground than the next
_GREY_SPREAD = 8  # levels that the channels of grey may differ by: a video's conversions leave some
_FEW = 64  # colours that nearly flat depth pictures may have
_ROAD = 60.0  # metres: the lower half of a street's picture is nearer
_WRAPS = 48.0  # levels that the lowest byte jumps by on the average
_ENDS = 0.15  # of the pixels: how many may have a lower byte of 0 or 255
_STEADY = 1.5  # times: how much oftener the lowest byte of 24 changes than the highest


def recognise_depth(
    pictures: list[np.ndarray],
    source: str,
    capture: bool = False,
    beside: str = "",
    scale: float = 1.0,
    layout: str = "",
) -> Recognised:
    """The depth format of pictures that `read_picture` gave.

    source: what to call them; capture: they are a video of a Cosmos capture; beside: the semantic format found beside
    them, which tells whose 16-bit depth it is; scale: the metres of one unit, where a user said it (not 1); layout: the
    format that goes with the folder they lie in, which decides between forms that fit as well. UserError where they fit
    several formats or none.
    """
    kind = pictures[0].dtype
    if kind == np.float32:
        return _floats(pictures, source, scale)
    if kind == np.uint16:
        return _wide(pictures, source, beside, scale)
    stack = np.stack([picture if picture.ndim == 3 else picture[..., None] for picture in pictures]).astype(np.int16)
    if int(np.ptp(stack, axis=-1).max()) <= _GREY_SPREAD:
        return _grey(stack[..., 0], source, capture, layout)
    return _colour(pictures, source)


def _grey(codes: np.ndarray, source: str, capture: bool, layout: str) -> Recognised:
    fits: dict[str, Ground] = {}
    for name in CAPTURE if capture else GREY:
        ground = _grey_ground(codes, name)
        if ground is not None and (ground.flat(PERHAPS) if name in _UNITLESS else ground.begins(MAYBE, PERHAPS)):
            fits[name] = ground
    best = sorted(fits, key=lambda name: fits[name].error)
    clear = len(best) == 1 or (best and fits[best[0]].error * _CLEARLY < fits[best[1]].error)
    if clear and (_is_street(codes, best[0], fits) if best[0] in _SCALED else fits[best[0]].flat()):
        return Recognised(best[0], f"8-bit grey; read as {GREY[best[0]]}, the road is flat{_away(best[0], fits)}")
    if capture:
        # What is near is white in both, but in linear depth of 1000 m nearly all that is no sky is near.
        lower = float(np.median(codes[:, codes.shape[1] // 2 :]))
        if lower < _INVERSE or lower > _LINEAR:
            name = CAPTURE[lower > _LINEAR]
            return Recognised(name, f"8-bit grey of a Cosmos capture, {lower / 255:.0%} white in the lower half")
        best = list(CAPTURE)
    if layout in best:
        why = f"8-bit grey that fits {', '.join(best)}; the folder is laid out as those of {GREY[layout]}"
        return Recognised(layout, why)
    if best:
        raise unclear(source, "depth", "is 8-bit grey depth that fits several forms", best)
    raise unclear(source, "depth", "is 8-bit grey, but in no known form does it show a flat road", list(GREY))


def _grey_table(name: str) -> np.ndarray:
    """The metres (256,) of the 8-bit codes of a form."""
    return DEPTH_FORMATS[name](np.arange(256, dtype=np.uint8)[None])[0].double().numpy()


def _grey_ground(codes: np.ndarray, name: str) -> Ground | None:
    """The ground in 8-bit codes (T, H, W) by one form."""
    table = _grey_table(name)
    between = (table[1:] + table[:-1]) / 2
    ends = np.concatenate([[table[0]], between, [table[-1]]]).clip(1e-6)
    steps = np.abs(np.log(ends[1:] / ends[:-1])) / 2
    if name == "carla_log":
        table[0] = 0.0  # all that is nearer than 3.3 m: no shape is left there
    return fit_ground(table[codes], steps[codes])


def _is_street(codes: np.ndarray, name: str, fits: dict[str, Ground]) -> bool:
    """Do the metres of a form, besides the road's, fit a street: something is far away, but not much."""
    depth = _grey_table(name)[codes]
    seen = depth[depth < FAR_PLANE * 0.9]
    if not fits[name].begins(error=_CLOSELY) or np.quantile(seen, 0.99) < _REACH:
        return False
    return float((seen > _AFAR).mean()) <= _AFAR_SHARE


def _away(name: str, fits: dict[str, Ground]) -> str:
    return "" if name in _UNITLESS else f" and begins {fits[name].near:.1f} m away"


def _colour(pictures: list[np.ndarray], source: str) -> Recognised:
    stack = np.stack(pictures)
    readings = {name: np.stack([DEPTH_FORMATS[name](picture).numpy() for picture in pictures]) for name in _ORDERS}
    flat = {name: fit_ground(depth) for name, depth in readings.items()}
    good = [name for name, ground in flat.items() if ground is not None and ground.begins()]
    if len(good) == 1:
        why = f"24 bits, {_ORDERS[good[0]]}; the road is flat and begins {flat[good[0]].near:.1f} m away"
        return Recognised(good[0], why)
    # Without a road: the lowest byte changes from pixel to pixel, the highest hardly ever.
    red, blue = (_changes(stack[..., channel]) for channel in (0, 2))
    low = 0 if red > blue else 2
    wraps = _jump(stack[..., low]) >= _WRAPS and _saturated(stack, low) <= _ENDS
    if wraps and max(red, blue) >= _STEADY * min(red, blue):
        name = "carla" if red > blue else "carla_bgr"
        changing = "red changes most, blue least" if red > blue else "blue changes most, red least"
        return Recognised(name, f"24 bits, {_ORDERS[name]}: {changing}")
    # Nearly flat pictures: depth that is far beyond what a road shows is the wrong order.
    lower = {name: float(np.median(depth[:, depth.shape[1] // 2 :])) for name, depth in readings.items()}
    near, far = sorted(lower, key=lambda name: lower[name])
    few = len(colour_counts(torch.from_numpy(stack))[0]) <= _FEW
    any_byte = _saturated(stack, 0 if near == "carla" else 2) <= _ENDS
    if few and any_byte and 2 * lower[near] < lower[far] and lower[near] < _ROAD and not _is_painted(pictures):
        remark = "the pictures show little; that they are depth is taken from their place"
        return Recognised(near, f"24 bits, {_ORDERS[near]}: the lower half is {lower[near]:.0f} m away", (remark,))
    seen = "holds colours that are no 24-bit depth (a camera's pictures, classes, or depth painted in a colour map)"
    raise unclear(source, "depth", seen, [])


def _is_painted(pictures: list[np.ndarray]) -> bool:
    try:
        return bool(recognise_classes(pictures, ""))
    except UserError:
        return False


def _changes(channel: np.ndarray) -> float:
    """The share of neighbouring pixels (T, H, W) that differ."""
    return (float((channel[:, 1:] != channel[:, :-1]).mean()) + float((np.diff(channel, axis=2) != 0).mean())) / 2


def _jump(channel: np.ndarray) -> float:
    """By how many levels neighbouring pixels (T, H, W) differ where they do: 85 for bytes that wrap around and around,
    few on the surfaces of a picture or a colour map."""
    steps = np.abs(np.diff(channel.astype(np.int16), axis=2))
    return float(steps[steps > 0].mean()) if steps.any() else 0.0


def _saturated(stack: np.ndarray, low: int) -> float:
    """The share of pixels (T, H, W, 3), the sky aside, whose lower bytes are 0 or 255: few of 24 bits, most of a colour
    map."""
    bytes_ = stack[(stack != 255).any(-1)][:, [low, 1]]
    return float(((bytes_ == 0) | (bytes_ == 255)).any(-1).mean()) if bytes_.size else 0.0


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
    millimetres = "png16 with --depth-scale 0.001 (millimetres)"
    units = {f"{centimetres} (centimetres)": 0.01, millimetres: 0.001}
    units["carla_grey16 (1000 m in 65535)"] = FAR_PLANE / 65535
    measured = np.where((stack == 0) | (stack == 65535), np.inf, stack)
    grounds = {name: fit_ground(np.minimum(measured * unit, FAR_PLANE)) for name, unit in units.items()}
    fitting = [name for name, ground in grounds.items() if ground is not None and ground.begins(MAYBE)]
    # The other two are alike but for half as much again: a road does not tell them apart.
    if fitting == [millimetres] and grounds[millimetres].begins():
        why = f"16-bit codes; as millimetres the road is flat and begins {grounds[millimetres].near:.1f} m away"
        return Recognised("png16", why, scale=0.001)
    seen = "is 16-bit depth of a unit that the pictures do not tell"
    raise unclear(source, "depth", seen, fitting or list(units))


def _floats(pictures: list[np.ndarray], source: str, scale: float) -> Recognised:
    stack = np.stack(pictures).astype(np.float64) * scale
    stack = np.where(np.isfinite(stack), stack, np.inf)
    if scale != 1:
        return Recognised("exr", f"float depth in units of {scale:g} m, as was said", scale=scale)
    if float(stack[np.isfinite(stack)].max(initial=0)) <= 1.0:
        seen = "holds float depth from 0 to 1, no metres"
        hint = "(--depth-scale 1000 for CARLA's share of 1000 m; a graphics card's z needs its near and far plane)"
        raise unclear(source, "depth", f"{seen} {hint}", [])
    grounds = {unit: fit_ground(np.minimum(stack * unit, FAR_PLANE)) for unit in (1.0, 0.01, 0.001)}
    fitting = {unit: ground for unit, ground in grounds.items() if ground is not None and ground.begins(MAYBE)}
    if 1.0 in fitting:
        return Recognised("exr", f"float depth; as metres the road is flat and begins {fitting[1.0].near:.1f} m away")
    if fitting:
        unit, ground = next(iter(fitting.items()))
        seen = f"holds float depth whose road would begin {ground.near / unit:.0f} m away, so no metres"
        raise unclear(source, "depth", f"{seen} (--depth-scale {unit:g} fits)", [])
    lower = float(np.median(stack[:, stack.shape[1] // 2 :]))
    if lower > _ROAD:
        seen = f"holds float depth whose lower half is {lower:.0f} away, hardly metres (--depth-scale says the unit)"
        raise unclear(source, "depth", seen, [])
    return Recognised("exr", "float depth", ("taken for metres: the pictures show no flat road to check it by",))
