"""COCO's instances: SPLIT/ with the pictures, annotations/instances_SPLIT.json with lossless run-length masks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ...video.files import write_json
from .masks import run_lengths
from .scenes import Scene, save_jpeg
from .things import NAMES

NEEDS = ("instance",)
PACKAGES = ("pycocotools",)
CATEGORIES = [{"id": number, "name": name, "supercategory": "street"} for number, name in enumerate(NAMES, 1)]
HOW_TO_READ = """
    from pycocotools.coco import COCO
    coco = COCO("annotations/instances_train.json")  # pictures are in train/, below their file_name
    mask = coco.annToMask(coco.loadAnns(coco.getAnnIds())[0])

`segmentation` is COCO's compressed run-length code, which holds every pixel of the source's mask (loaders that ask for
polygons need their run-length setting, such as Detectron2's `mask_format: bitmask`). `track_id` is one object through
all frames of its clip; traffic lights have `light_state`, `lamp_box` and `lamp_visible`.
"""


def write(folder: Path, scenes: Iterable[Scene]) -> None:
    """Write the data set; the scenes come one after the other."""
    files: dict[str, dict] = {}
    tracks: dict[tuple, int] = {}
    for scene in scenes:
        entries = files.setdefault(scene.split, {"images": [], "annotations": [], "categories": CATEGORIES})
        for frame, image in scene.images():
            name = f"{scene.name}/{frame:06d}"
            save_jpeg(folder / scene.split / f"{name}.jpg", image)
            number = len(entries["images"]) + 1
            entries["images"].append(
                {
                    "id": number,
                    "file_name": f"{name}.jpg",
                    "height": scene.size[0],
                    "width": scene.size[1],
                    "clip": scene.name,
                    "frame": frame,
                    "maps": scene.save_maps(folder, frame, name),
                }
            )
            for thing in scene.things(frame):
                entries["annotations"].append(
                    {
                        "id": len(entries["annotations"]) + 1,
                        "image_id": number,
                        "category_id": NAMES.index(thing.name) + 1,
                        "segmentation": run_lengths(thing.mask),
                        "area": thing.area,
                        "bbox": list(thing.box),
                        "iscrowd": 0,
                        "track_id": tracks.setdefault((scene.name, thing.tag, thing.instance), len(tracks) + 1),
                        "instance": thing.instance,
                        **thing.light(),
                    }
                )
    (folder / "annotations").mkdir()
    for split, entries in files.items():
        write_json(folder / "annotations" / f"instances_{split}.json", entries, indent=None)
