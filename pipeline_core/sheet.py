"""Pictures of a result: a contact sheet of frames in labelled rows, and side-by-side frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor

LABEL_HEIGHT, GAP = 18, 4
_INK, _PAPER = (235, 235, 235), (24, 24, 24)


def contact_sheet(rows: Mapping[str, Tensor], columns: int = 5, scale: int = 2):
    """A PIL picture: one labelled row per clip (T, H, W, 3) in [0, 1], `columns` frames spread over its length."""
    from PIL import Image, ImageDraw

    clips = list(rows.values())
    _, height, width, _ = clips[0].shape
    columns = min(columns, min(len(clip) for clip in clips))
    cell_w, cell_h = width * scale + GAP, height * scale + GAP + LABEL_HEIGHT
    sheet = Image.new("RGB", (columns * cell_w + GAP, len(clips) * cell_h + GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for y, (label, clip) in enumerate(rows.items()):
        draw.text((GAP, y * cell_h + 3), label, fill=_INK)
        picks = torch.linspace(0, len(clip) - 1, columns).round().long()
        for x, frame in enumerate(clip[picks]):
            picture = Image.fromarray((frame * 255).round().clamp(0, 255).byte().cpu().numpy())
            picture = picture.resize((width * scale, height * scale), Image.Resampling.BICUBIC)
            sheet.paste(picture, (GAP + x * cell_w, y * cell_h + LABEL_HEIGHT))
    return sheet


def side_by_side(clips: Iterable[Iterable[Tensor]]) -> Iterator[Tensor]:
    """Frames (H, W, 3) of several clips of one size, joined left to right: (H, n W, 3)."""
    for frames in zip(*clips, strict=True):
        yield torch.cat(list(frames), dim=1)
