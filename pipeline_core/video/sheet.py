"""Pictures of a result: a contact sheet of frames in labelled rows, and side-by-side frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor

LABEL_HEIGHT, GAP = 18, 4
_INK, _PAPER = (235, 235, 235), (24, 24, 24)


def contact_sheet(rows: Mapping[str, Tensor], columns: int = 5, scale: float = 2):
    """A PIL picture: one labelled row per clip (T, H, W, 3) in [0, 1], `columns` frames spread over its length."""
    from PIL import Image, ImageDraw

    clips = list(rows.values())
    _, height, width, _ = clips[0].shape
    height, width = max(1, round(height * scale)), max(1, round(width * scale))
    columns = min(columns, min(len(clip) for clip in clips))
    cell_w, cell_h = width + GAP, height + GAP + LABEL_HEIGHT
    sheet = Image.new("RGB", (columns * cell_w + GAP, len(clips) * cell_h + GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for y, (label, clip) in enumerate(rows.items()):
        draw.text((GAP, y * cell_h + 3), label, fill=_INK)
        picks = torch.linspace(0, len(clip) - 1, columns).round().long()
        for x, frame in enumerate(clip[picks]):
            picture = Image.fromarray((frame * 255).round().clamp(0, 255).byte().cpu().numpy())
            picture = picture.resize((width, height), Image.Resampling.BICUBIC)
            sheet.paste(picture, (GAP + x * cell_w, y * cell_h + LABEL_HEIGHT))
    return sheet


def side_by_side(clips: Iterable[Iterable[Tensor]]) -> Iterator[Tensor]:
    """Frames (H, W, 3) of several clips of one size, joined left to right: (H, n W, 3)."""
    for frames in zip(*clips, strict=True):
        yield torch.cat(list(frames), dim=1)


def labelled_side_by_side(clips: Mapping[str, Tensor]) -> Tensor:
    """Clips (T, H, W, 3) of one length and size, left to right with a gap, each under its label: one clip whose
    height and width are even, as video encoders want them. A label longer than its clip is wide is cut off."""
    from PIL import Image, ImageDraw

    T, H, W, _ = next(iter(clips.values())).shape
    height, width = LABEL_HEIGHT + H, len(clips) * (W + GAP) - GAP
    paper = Image.new("RGB", (width + width % 2, height + height % 2), _PAPER)
    for i, label in enumerate(clips):
        strip = Image.new("RGB", (W, LABEL_HEIGHT), _PAPER)
        ImageDraw.Draw(strip).text((3, 3), label, fill=_INK)
        paper.paste(strip, (i * (W + GAP), 0))
    joined = to_frames(paper).repeat(T, 1, 1, 1)
    for i, clip in enumerate(clips.values()):
        joined[:, LABEL_HEIGHT:height, i * (W + GAP) : i * (W + GAP) + W] = clip
    return joined


def to_frames(picture) -> Tensor:
    """A PIL RGB picture as (1, H, W, 3) float32 in [0, 1]."""
    import numpy as np

    return torch.from_numpy(np.array(picture))[None].float() / 255
