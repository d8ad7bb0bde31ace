"""Draws docs/images/dials.jpg: one frame of the pack's example at the corners, sides and middle of the two dials.

python scripts/make_dials.py
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the core, also where it is not installed

STEPS = (0.0, 0.5, 1.0)
FRAME, SCALE = 8, 2
LABEL, GAP = 26, 6
INK, PAPER = (235, 235, 235), (24, 24, 24)


def results(frame: int) -> dict[tuple[float, float] | None, Image.Image]:
    """{(realism, faithfulness): picture} of the example's frame, and the source under None."""
    from pipeline_core.conditions.buffers import find_buffers
    from pipeline_core.enhance import enhance
    from pipeline_core.job.dials import dials
    from pipeline_core.models.folders.loading import load_video_model
    from pipeline_core.video import media

    source = ROOT / "example_clips" / "drives" / "drive.mp4"
    clip, model = media.read_clip(source), load_video_model()
    buffers = find_buffers(source)
    pictures = {None: picture(clip[frame])}
    for faithfulness in STEPS:
        for realism in STEPS:
            enhanced, _ = enhance(clip, model, dials(realism, faithfulness, model.preset), buffers)
            pictures[realism, faithfulness] = picture(enhanced[frame])
            print(f"realism {realism:g}, faithfulness {faithfulness:g}", flush=True)
    return pictures


def picture(frame) -> Image.Image:
    """A frame (H, W, 3) in [0, 1], enlarged."""
    image = Image.fromarray((frame * 255).round().clamp(0, 255).byte().cpu().numpy())
    return image.resize((image.width * SCALE, image.height * SCALE), Image.Resampling.BICUBIC)


def sheet(pictures: dict[tuple[float, float] | None, Image.Image]) -> Image.Image:
    """Realism to the right, faithfulness upwards, the source at the left of the middle row."""
    width, height = (side + gap for side, gap in zip(pictures[None].size, (GAP, GAP + LABEL)))
    columns, rows = len(STEPS) + 1, len(STEPS)
    drawn = Image.new("RGB", (columns * width + GAP, rows * height + GAP), PAPER)
    pen, font = ImageDraw.Draw(drawn), ImageFont.load_default(15)
    for key, image in pictures.items():
        column, row = (0, rows // 2) if key is None else (1 + STEPS.index(key[0]), rows - 1 - STEPS.index(key[1]))
        x, y = GAP + column * width, GAP + row * height
        label = "source" if key is None else f"realism {key[0]:g}, faithfulness {key[1]:g}"
        pen.text((x, y), label, fill=INK, font=font)
        drawn.paste(image, (x, y + LABEL - GAP))
    return drawn


def main() -> int:
    sheet(results(FRAME)).save(ROOT / "docs" / "images" / "dials.jpg", quality=85, optimize=True)
    print("docs/images/dials.jpg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
