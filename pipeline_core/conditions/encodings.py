"""The pictures simulators store buffers in: CARLA's depth, tag and instance images, KITTI-style optical flow.

Every pair here turns (H, W) tensors into the array of a PNG and back; files are `buffers.py`'s concern.
"""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from ..errors import UserError
from .depth import FAR_PLANE

_DEPTH_CODES = 2**24 - 1
_LOG_RANGE = 5.70378  # of CARLA's converter: grey = 1 + ln(depth / far plane) / 5.70378
_COSMOS_NEAR = 0.01  # metres; the near end of the grey scale of CARLA's Cosmos example
_FLOW_SCALE, _FLOW_ZERO = 64, 2**15
MOST_FLOW = 511  # pixels


def encode_depth(depth: Tensor) -> np.ndarray:
    """CARLA's 24-bit depth: (H, W) metres to (H, W, 3) uint8, R + 256 G + 65536 B = depth / 1000 m * (2^24
    - 1).

    One code is 0.06 mm. Depths beyond the far plane of 1000 m, inf among them, are stored as the far plane.
    Raises UserError for depth that is negative or NaN.
    """
    metres = depth.cpu().double()
    if not bool((metres >= 0).all()):
        raise UserError("Depth that is negative or NaN came: give metres of 0 or more, and inf for the sky.")
    code = (metres.clamp(max=FAR_PLANE) / FAR_PLANE * _DEPTH_CODES).round().long()
    return torch.stack([code & 255, code >> 8 & 255, code >> 16], -1).to(torch.uint8).numpy()


def decode_depth(image: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 of CARLA's depth camera to (H, W) float32 metres; the sky comes back as 1000.0."""
    code = torch.from_numpy(image[..., :3].astype(np.int64)) @ torch.tensor([1, 256, 65536])
    return (code.double() / _DEPTH_CODES * FAR_PLANE).float()


def decode_log_depth(image: np.ndarray) -> Tensor:
    """(H, W) or (H, W, 3) uint8 of CARLA's LogarithmicDepth converter to (H, W) float32 metres.

    A code v of 255 is 1000 m * exp(5.70378 (v / 255 - 1)): 2.3 % from code to code, so a depth is known to 1.1 %. 0
    stands for 3.33 m and all that is nearer, 255 for the far plane (the sky).
    """
    code = torch.from_numpy((image if image.ndim == 2 else image[..., 0]).astype(np.float64))
    return (FAR_PLANE * torch.exp(_LOG_RANGE * (code / 255 - 1))).float()


def decode_depth_cm(image: np.ndarray) -> Tensor:
    """(H, W) or (H, W, 3) uint16 centimetres, the depth of Virtual KITTI 2 and of SYNTHIA, to (H, W) float32 metres.

    SYNTHIA has the same value in all channels. The highest code (655.35 m) is the sky and comes back as 1000.0.
    Raises UserError for 8-bit codes: then the low byte is lost.
    """
    if image.dtype != np.uint16:
        raise UserError(f"Centimetre depth came as {image.dtype}: give the 16-bit PNG itself, not an 8-bit copy.")
    code = torch.from_numpy((image if image.ndim == 2 else image[..., 0]).astype(np.float64))
    return torch.where(code == 65535, FAR_PLANE, code / 100).float()


def decode_depth16(image: np.ndarray, scale: float) -> Tensor:
    """(H, W) or (H, W, 3) uint16 codes of `scale` metres each to (H, W) float32 metres.

    0, which stands for no measurement in KITTI's and in depth cameras' pictures, and the highest code come back as
    1000.0. Raises UserError for 8-bit codes and a scale that is not above 0.
    """
    if image.dtype != np.uint16:
        raise UserError(f"16-bit depth came as {image.dtype}: give the 16-bit PNG itself, not an 8-bit copy.")
    if not 0 < scale < float("inf"):
        raise UserError(f"A depth scale of {scale:g} came: give the metres of one code, such as 0.001.")
    code = torch.from_numpy((image if image.ndim == 2 else image[..., 0]).astype(np.float64))
    measured = (code > 0) & (code < 65535)
    return torch.where(measured, code * scale, FAR_PLANE).clamp(max=FAR_PLANE).float()


def decode_cosmos_log(image: np.ndarray) -> Tensor:
    """The grey depth video of CARLA's first Cosmos example, (H, W) or (H, W, 3) uint8, to (H, W) float32 metres.

    Near is white: a code v holds the depths from 1000 m * 1e-5^((v + 1) / 255) to 1000 m * 1e-5^(v / 255), 4.6 %
    apart; the middle comes back, and 1000.0 for black (the sky). The lossy video adds its own error.
    """
    code = torch.from_numpy((image if image.ndim == 2 else image[..., 0]).astype(np.float64))
    depth = FAR_PLANE * (_COSMOS_NEAR / FAR_PLANE) ** ((code + 0.5).clamp(max=255) / 255)
    return torch.where(code == 0, FAR_PLANE, depth).float()


def decode_cosmos_inverse(image: np.ndarray) -> Tensor:
    """The grey depth video of CARLA's newer Cosmos capture, (H, W) or (H, W, 3) uint8, to (H, W) float32 distance.

    Near is white: a code v is disparity 1 / depth, stretched from 0 to 255 between the clip's own ends. They are not
    stored, so what comes back is 255 / v, a distance of unknown unit and offset, and 1000.0 for black (the sky).
    """
    code = torch.from_numpy((image if image.ndim == 2 else image[..., 0]).astype(np.float64))
    return torch.where(code == 0, FAR_PLANE, 255 / code.clamp(min=1)).float()


def decode_cosmos_linear(image: np.ndarray) -> Tensor:
    """The grey depth video of CARLA's newer Cosmos capture in its linear mode, (H, W) or (H, W, 3) uint8, to (H, W)
    float32 metres.

    Near is white: a code v is depth, stretched from 255 to 0 between the clip's own ends. They are not stored; with sky
    in the clip they are 1000 m and nearly 0, so that is what is taken: 3.9 m from code to code.
    """
    code = torch.from_numpy((image if image.ndim == 2 else image[..., 0]).astype(np.float64))
    return ((255 - code) / 255 * FAR_PLANE).float()


def decode_grey(image: np.ndarray, scale: float) -> Tensor:
    """(H, W) or (H, W, 3) uint8 codes of `scale` metres each to (H, W) float32 metres.

    255, the sky and all that is beyond the scale's end, comes back as 1000.0. Raises UserError for a scale that is not
    above 0.
    """
    if not 0 < scale < float("inf"):
        raise UserError(f"A depth scale of {scale:g} came: give the metres of one code, such as 0.2.")
    code = torch.from_numpy((image if image.ndim == 2 else image[..., 0]).astype(np.float64))
    return torch.where(code == 255, FAR_PLANE, code * scale).clamp(max=FAR_PLANE).float()


def decode_grey16(image: np.ndarray) -> Tensor:
    """CARLA's depth as a share of 1000 m in 16-bit grey, (H, W) or (H, W, 3) uint16, to (H, W) float32 metres."""
    code = torch.from_numpy((image if image.ndim == 2 else image[..., 0]).astype(np.float64))
    return (code / 65535 * FAR_PLANE).float()


# name -> decoder of one picture to (H, W) metres; near is small in all of them, the sky is 1000.0.
DEPTH_FORMATS = {
    "carla": decode_depth,
    "carla_log": decode_log_depth,
    "vkitti2": decode_depth_cm,
    "synthia": decode_depth_cm,
    "cosmos_log": decode_cosmos_log,
    "cosmos_inverse": decode_cosmos_inverse,
    "cosmos_linear": decode_cosmos_linear,
    "carla_bgr": lambda image: decode_depth(image[..., ::-1]),  # OpenCV's order of channels, saved as if it were RGB
    "carla_grey": lambda image: decode_grey(image, FAR_PLANE / 255),  # CARLA's Depth converter
    "carla_grey16": decode_grey16,
    "transfuser": lambda image: decode_grey(image, 50 / 255),  # TransFuser's and PDM-Lite's data: up to 50 m
    "bench2drive": lambda image: decode_grey(image, 1.0),
}


def picture_codes(frames: Tensor) -> np.ndarray:
    """Frames (T, H, W, C) in [0, 1] that hold 8-bit codes, as ComfyUI loads pictures: uint8 (T, H, W, C).

    UserError for values that lie between the codes, as scaling, colour correction and half precision leave them.
    """
    codes = frames.detach().float().cpu() * 255
    if not bool(((codes - codes.round()).abs() <= 0.02).all()) or not bool(((codes > -0.5) & (codes < 255.5)).all()):
        raise UserError(
            "The pictures hold values that are no 8-bit codes: give the simulator's pictures as they were saved, not "
            "scaled, corrected or in half precision."
        )
    return codes.round().to(torch.uint8).numpy()


def encode_classes(classes: Tensor) -> np.ndarray:
    """CARLA's semantic image: (H, W) tags 0 .. 255 to (H, W, 3) uint8 with the tag in the red channel."""
    return encode_instances(classes, torch.zeros_like(classes))


def decode_classes(image: np.ndarray) -> Tensor:
    """The tags (H, W) uint8 of CARLA's semantic or instance image: its red channel, or grey numbers (H, W)."""
    return torch.from_numpy((image if image.ndim == 2 else image[..., 0]).copy())


def encode_instances(classes: Tensor, instances: Tensor) -> np.ndarray:
    """CARLA's instance image, (H, W, 3) uint8: tag in red, 16-bit id in green (low byte) and blue (high).

    Raises UserError for tags outside 0 .. 255 and ids outside 0 .. 65535.
    """
    tag, code = classes.long().cpu(), instances.long().cpu()
    for what, value, limit in (("Class tags", tag, 255), ("Instance ids", code, 65535)):
        if value.numel() and (value.min() < 0 or value.max() > limit):
            raise UserError(
                f"{what} from {int(value.min())} to {int(value.max())} came: CARLA images hold 0 to {limit}."
            )
    return torch.stack([tag, code & 255, code >> 8], -1).to(torch.uint8).numpy()


def decode_instances(image: np.ndarray) -> Tensor:
    """The ids of CARLA's instance image, G + 256 B, as (H, W) int32."""
    return torch.from_numpy(image[..., 1].astype(np.int32) + 256 * image[..., 2].astype(np.int32))


def encode_flow(flow: Tensor) -> np.ndarray:
    """KITTI's 16-bit flow in one grey picture: (H, W, 2) pixels (dx, dy) to (2 H, W) uint16, dx above dy.

    A code is 64 * pixels + 32768, to 1/64 pixel within +-511; undefined flow (NaN, inf) is stored as 0.
    Raises UserError for longer flow.
    """
    values = flow.cpu().double()
    defined = values.isfinite()
    if bool((values[defined].abs() > MOST_FLOW).any()):
        raise UserError(f"Optical flow of more than {MOST_FLOW} pixels came: give pixels, at most so many each way.")
    code = (values.nan_to_num() * _FLOW_SCALE + _FLOW_ZERO).round().masked_fill(~defined, 0)
    return rearrange(code, "h w c -> (c h) w").numpy().astype(np.uint16)


def decode_flow(image: np.ndarray) -> Tensor:
    """(2 H, W) codes of `encode_flow` to (H, W, 2) float32 pixels (dx, dy), NaN where undefined."""
    code = rearrange(torch.from_numpy(image.astype(np.float32)), "(c h) w -> h w c", c=2)
    return torch.where(code == 0, torch.nan, (code - _FLOW_ZERO) / _FLOW_SCALE)
