"""Between the luma and chroma of a file and R'G'B': by the file's own tags on the way in, and tagged on the way out."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import UserError

# Codes of ITU-T H.273 as FFmpeg numbers them.
BT709, UNSPECIFIED, BT601, BT2020 = 1, 2, 5, 9
LIMITED, FULL = 1, 2
_MATRICES = {1: "BT.709", 4: "FCC", 5: "BT.601", 6: "BT.601", 7: "SMPTE 240M", 9: "BT.2020"}
# libswscale's numbers for bicubic, exact rounding, full chroma resolution in and out: without them a flat colour is off
# by up to 3/255. PyAV takes them by number in every version, and has names for them only in later ones.
EXACT = 0x4 | 0x40000 | 0x2000 | 0x4000


@dataclass(frozen=True)
class Colour:
    """How a file's values stand for colours, in the codes of H.273; the default is BT.709, limited range."""

    matrix: int = BT709
    full: bool = False
    primaries: int = BT709
    transfer: int = BT709

    def in_words(self) -> str:
        return f"{_MATRICES[self.matrix]}, {'full' if self.full else 'limited'} range"

    def tag(self, context) -> None:
        """Write the tags into an encoder's context."""
        context.colorspace, context.color_primaries, context.color_trc = self.matrix, self.primaries, self.transfer
        context.color_range = FULL if self.full else LIMITED


def depth_of(frame) -> int:
    """Bits of a component of a decoded frame."""
    return max(component.bits for component in frame.format.components)


def is_tagged(frame) -> bool:
    """Does a decoded frame say by what matrix it is to be read, or need none."""
    return frame.format.is_rgb or frame.colorspace != UNSPECIFIED


def colour_of(frame, context) -> Colour:
    """What a result should be tagged as that is to look like the clip: as the clip itself, and plain BT.709 where it
    holds R'G'B' or does not say. context: the decoder's."""
    if frame.format.is_rgb or frame.colorspace not in _MATRICES:
        return Colour()
    known = (code if code not in (0, UNSPECIFIED) else BT709 for code in (context.color_primaries, context.color_trc))
    return Colour(frame.colorspace, _is_full(frame), *known)


def _is_full(frame) -> bool:
    return frame.color_range == FULL or frame.format.name.startswith("yuvj")


def to_rgb(frame, path: str | os.PathLike, deep: bool = False) -> Tensor:
    """A decoded frame as R'G'B' (H, W, 3): uint8; with `deep`, one of more than 8 bits as float16 in [0, 1], which
    holds every value of 10 bits.

    Untagged frames follow players: BT.601 below 720 lines, else BT.709. UserError for a matrix that is none of the
    known ones.
    """
    deep = deep and depth_of(frame) > 8
    target = "rgb48le" if deep else "rgb24"
    if frame.format.is_rgb:
        converted = frame.reformat(format=target)
    else:
        matrix = frame.colorspace
        if matrix == UNSPECIFIED:
            matrix = BT709 if frame.height >= 720 else BT601
        if matrix not in _MATRICES:
            raise UserError(
                f"{path} stores its colours by matrix {matrix} of ITU-T H.273, which is not read here: save it again "
                "in BT.709."
            )
        if matrix == BT2020 and _old_pyav():
            raise UserError(
                f"{path} stores its colours by BT.2020's matrix, which this PyAV takes for BT.601's: install av "
                "18 or newer, which needs Python 3.11, or save the clip again in BT.709."
            )
        converted = frame.reformat(
            format=target,
            src_colorspace=matrix,
            src_color_range=FULL if _is_full(frame) else LIMITED,
            dst_color_range=FULL,
            interpolation=EXACT,
        )
    array = converted.to_ndarray()
    if deep:
        return torch.from_numpy((array.astype("float32") / 65535).astype("float16"))
    return torch.from_numpy(array.copy())


def _old_pyav() -> bool:
    import av

    return int(av.__version__.split(".")[0]) < 18


def from_rgb(array, layout: str, colour: Colour):
    """A PyAV frame in `layout` from R'G'B' (H, W, 3), uint8 or uint16 over its whole range."""
    import av

    wide = array.dtype.itemsize == 2
    return av.VideoFrame.from_ndarray(array, format="rgb48le" if wide else "rgb24").reformat(
        format=layout,
        dst_colorspace=colour.matrix,
        src_color_range=FULL,
        dst_color_range=FULL if colour.full else LIMITED,
        interpolation=EXACT,
    )
