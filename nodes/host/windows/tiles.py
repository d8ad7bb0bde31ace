"""Tiles of frames too large for the model: how they lie on a latent, and conditions and maps as one of them sees them.

The windows' handlers ask for tile after tile and average the answers where tiles overlap, inside every step (see
longvideo/tiles.py), so that all tiles share one noise and one sampler.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from comfy.utils import common_upscale
from torch import Tensor

from ....pipeline_core.errors import UserError
from ....pipeline_core.longvideo.tiles import TOKEN
from ....pipeline_core.video.tiles import Tile, Tiles, plan_tiles


def pixels_a_cell(model) -> int:
    """Pixels along a side of the MODEL's latent cells. Older ComfyUI does not say; most models have 8."""
    return getattr(model.model.latent_format, "spacial_downscale_ratio", 8)


def latent_tiles(shape: Sequence[int], ratio: int, width: int, height: int, overlap: int) -> Tiles | None:
    """Tiles of width x height over latent frames (..., h, w), in latent cells; None where one tile holds a frame.

    width, height, overlap: pixels; a side of 0 is the frame's own. ratio: pixels per latent cell. UserError for sides
    off the grid that networks see, and an overlap that leaves no step between tiles.
    """
    if not width and not height:
        return None
    cell, frame = ratio * TOKEN, tuple(shape[-2:])
    if any(side % TOKEN for side in frame):
        raise UserError(
            f"Frames of {frame[1] * ratio}x{frame[0] * ratio} came, and tiles need sides that are multiples of {cell}: "
            "crop or scale the clip before VAE Encode, or set tile_width and tile_height to 0."
        )
    sides = []
    for name, tile, cells in (("tile_height", height, frame[0]), ("tile_width", width, frame[1])):
        if tile % cell:
            raise UserError(f"{name} is {tile} but must be a multiple of {cell} pixels, or 0: change it.")
        sides.append(min(tile, cells * ratio) or cells * ratio)
        if sides[-1] < cells * ratio and overlap >= sides[-1]:
            raise UserError(f"tile_overlap is {overlap} but must be below the {name} of {tile}: change either.")
    size, side = (tuple(length // unit for length in lengths) for lengths, unit in ((frame, TOKEN), (sides, cell)))
    tiles = plan_tiles(size, side, -(-overlap // cell)).scaled(TOKEN)
    return tiles if len(tiles) > 1 else None


def tile_lines(tiles: Tiles | None, ratio: int) -> list[str]:
    """The tiles in words."""
    if tiles is None:
        return []
    (height, width), (last_row, last_column) = tiles.side, (tiles.rows[-1], tiles.columns[-1])
    cost = len(tiles) * height * width / (last_row.stop * last_column.stop)
    return [f"{len(tiles)} tiles of {width * ratio}x{height * ratio} a frame: cost {cost:.2f} x its pixels"]


def tensor_in_tile(values: Tensor, tile: Tile | None) -> Tensor:
    """The tile's part of a condition that has the size of the latent's frames, such as a mask; others stay whole."""
    if tile is None or values.ndim < 3 or tuple(values.shape[-2:]) != tile.size:
        return values
    return tile.cut(values)


def cond_in_tile(cond, tile: Tile | None):
    """The same of one of ComfyUI's conditions of a model: a context, latents to be concatenated."""
    values = cond if isinstance(cond, Tensor) else getattr(cond, "cond", None)
    if not isinstance(values, Tensor) or values.ndim < 4:
        return cond
    cut = tensor_in_tile(values, tile)
    return cond if cut is values else cut if values is cond else cond._copy_with(cut)


def refuse_areas(conds: Sequence[dict], tile: Tile | None) -> None:
    """UserError for prompts bound to a rectangle of the frame, which a tile does not see."""
    if tile is not None and any(entry.get("area") is not None for entry in conds):
        raise UserError(
            "A prompt has an area, which tiles do not follow: give it a mask (Conditioning Set Mask) instead, or set "
            "tile_width and tile_height to 0."
        )


def refuse_cutters(controls: Iterable, tile: Tile | None) -> None:
    """UserError for controls of Advanced-ControlNet, which cut their maps themselves and know no tiles."""
    if tile is not None and any(hasattr(control, "sub_idxs") for control in controls):
        raise UserError(
            "A control of Advanced-ControlNet came, which knows no tiles: load it with Load ControlNet Model, or set "
            "tile_width and tile_height to 0."
        )


def map_of_frames(frames: Tensor, control, tile: Tile) -> Tensor:
    """A native control's map (F, C, H, W) of the tile's whole frames, at the size at which the control wants it."""
    ratio = control.compression_ratio * (1 if control.vae is None else control.vae.spacial_compression_encode())
    height, width = (side * ratio for side in tile.size)
    if tuple(frames.shape[-2:]) == (height, width):
        return frames
    return common_upscale(frames, width, height, control.upscale_algorithm, "center")  # as get_control does
