"""Draws docs/images/icon.png and banner.png, the pack's pictures in the registry.

    python scripts/make_icon.py

One frame of the pack's example: as the simulator renders it on the left, as the model made it on the right.
"""

from __future__ import annotations

import sys
from pathlib import Path

import av
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[1]
FRAME = 8
SIZES = {"icon": (400, 400), "banner": (1260, 540)}  # the registry's shapes: a square, and 21 to 9


def frame(name: str) -> Image.Image:
    with av.open(str(ROOT / "example_clips" / f"{name}.mp4")) as clip:
        return next(image for number, image in enumerate(clip.decode(video=0)) if number == FRAME).to_image()


def halves(size: tuple[int, int]) -> Image.Image:
    """The frame cut to the shape of `size` around its middle, before and after, and a line between them."""
    width, height = size
    picture = Image.new("RGB", size)
    for left, name in ((0, "drives/drive"), (width // 2, "drive_enhanced")):
        image = frame(name)
        scale = max(width / image.width, height / image.height)
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
        x, y = (image.width - width) // 2, (image.height - height) // 2
        picture.paste(image.crop((x + left, y, x + width, y + height)), (left, 0))
    ImageDraw.Draw(picture).line((width // 2, 0, width // 2, height), fill="white", width=max(2, width // 160))
    return picture


def main() -> int:
    for name, size in SIZES.items():
        picture = halves(size)
        if name == "banner":
            draw = ImageDraw.Draw(picture)
            draw.rectangle((0, size[1] - 96, size[0], size[1]), fill="#20242a")
            draw.text((36, size[1] - 76), "Video Realism", fill="white", font=ImageFont.load_default(52))
        picture.save(ROOT / "docs" / "images" / f"{name}.png", optimize=True)
        print(f"docs/images/{name}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
