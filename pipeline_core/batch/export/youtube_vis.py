"""YouTube-VIS: SPLIT/JPEGImages/VIDEO/, SPLIT/instances.json with one entry per object, its masks frame by frame."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ...video.files import write_json
from .coco import CATEGORIES
from .masks import run_lengths
from .scenes import Scene, save_jpeg
from .things import NAMES, Thing

NEEDS = ("instance",)
PACKAGES = ("pycocotools",)
HOW_TO_READ = """
`train/instances.json` is as YouTube-VIS 2021 has it: a video lists its pictures, an annotation is one object through
its video, with a run-length mask, box and area for every picture, null where it is not in view. Readers: Detectron2 and
MMDetection's YouTube-VIS loaders; a single mask by `pycocotools.mask.decode`. Traffic lights have the list `lights`.
"""


def write(folder: Path, scenes: Iterable[Scene]) -> None:
    """Write the data set; the scenes come one after the other."""
    files: dict[str, dict] = {}
    for scene in scenes:
        entries = files.setdefault(scene.split, {"videos": [], "annotations": [], "categories": CATEGORIES})
        number, count = len(entries["videos"]) + 1, len(scene.taken())
        tracks: dict[tuple[int, int], dict] = {}
        names, maps = [], []
        for place, (frame, image) in enumerate(scene.images()):
            name = f"{scene.name}/{frame:06d}"
            names.append(f"{name}.jpg")
            save_jpeg(folder / scene.split / "JPEGImages" / names[-1], image)
            maps.append(scene.save_maps(folder, frame, name))
            for thing in scene.things(frame):
                track = tracks.setdefault((thing.tag, thing.instance), _track(thing, count))
                track["segmentations"][place] = run_lengths(thing.mask)
                track["bboxes"][place] = list(thing.box)
                track["areas"][place] = thing.area
                if thing.state is not None:
                    track.setdefault("lights", [None] * count)[place] = thing.light()
        height, width = scene.size
        about = {"id": number, "height": height, "width": width, "length": count, "file_names": names, "maps": maps}
        entries["videos"].append(about)
        for track in tracks.values():
            size = {"height": height, "width": width, "length": count}
            entries["annotations"].append({"id": len(entries["annotations"]) + 1, "video_id": number, **track, **size})
    for split, entries in files.items():
        write_json(folder / split / "instances.json", entries, indent=None)


def _track(thing: Thing, count: int) -> dict:
    empty = {name: [None] * count for name in ("segmentations", "bboxes", "areas")}
    return {"category_id": NAMES.index(thing.name) + 1, "instance": thing.instance, "iscrowd": 0, **empty}
