"""Ultralytics' YOLO segmentation: images/, labels/ with a polygon an object, data.yaml; lossless masks beside them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ...video.files import write_json, write_text
from .masks import polygon
from .scenes import Scene, save_jpeg
from .things import NAMES, Thing, listed

NEEDS = ("instance",)
PACKAGES = ("cv2",)
HOW_TO_READ = """
    from ultralytics import YOLO
    YOLO("yolo11n-seg.pt").train(data="data.yaml")

A YOLO label is one polygon an object. Filled as Ultralytics fills it, it gives the source's mask to the pixel where the
object is in one piece; the pieces of one that something stands before are joined by lines one pixel wide. Where that
matters take `instance/`, which is lossless.
"""


def write(folder: Path, scenes: Iterable[Scene]) -> None:
    """Write the data set; the scenes come one after the other."""
    splits: list[str] = []
    for scene in scenes:
        if scene.split not in splits:
            splits.append(scene.split)
        labels = folder / "labels" / scene.split
        labels.mkdir(parents=True, exist_ok=True)
        for frame, image in scene.images():
            name, things = f"{scene.name}_{frame:06d}", scene.things(frame)
            save_jpeg(folder / "images" / scene.split / f"{name}.jpg", image)
            write_text(labels / f"{name}.txt", "".join(_line(thing, scene.size) for thing in things))
            maps = scene.save_maps(folder, frame, name)
            place = folder / "objects" / scene.split
            place.mkdir(parents=True, exist_ok=True)
            write_json(
                place / f"{name}.json",
                {"clip": scene.name, "frame": frame, "maps": maps, "objects": listed(things)},
                None,
            )
    lines = [f"{split}: images/{split}" for split in splits]
    names = [f"  {number}: {name}" for number, name in enumerate(NAMES)]
    write_text(folder / "data.yaml", "\n".join([*lines, "names:", *names]) + "\n")


def _line(thing: Thing, size: tuple[int, int]) -> str:
    """Class and corners as shares of the picture's sides. A quarter of a pixel is added: readers cut or round what they
    read to whole pixels, and both then give the pixel that is meant."""
    height, width = size
    shares = [f"{(x + 0.25) / width:.7f} {(y + 0.25) / height:.7f}" for x, y in polygon(thing.mask).tolist()]
    return f"{NAMES.index(thing.name)} {' '.join(shares)}\n"
