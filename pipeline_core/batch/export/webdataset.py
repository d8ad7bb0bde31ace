"""WebDataset: SPLIT-000000.tar and so on, a sample per frame with its picture, maps and objects."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import numpy as np

from .scenes import QUALITY, Scene
from .things import listed

NEEDS = ()
PACKAGES = ("webdataset",)
SHARD_BYTES, SHARD_SAMPLES = 1_000_000_000, 10_000
HOW_TO_READ = """
    import webdataset as wds
    data = wds.WebDataset("train-000000.tar").decode("pil")  # __key__, jpg, instance.png, semantic.png, depth.png, json

A sample is a frame, in the order of its clip: shuffle while reading. `json` holds the objects and where the frame comes
from.
"""


def write(folder: Path, scenes: Iterable[Scene]) -> None:
    """Write the data set; the scenes come one after the other."""
    from webdataset import ShardWriter

    with ExitStack() as stack:
        shards: dict[str, ShardWriter] = {}
        for scene in scenes:
            if scene.split not in shards:
                pattern = str(folder / scene.split).replace("%", "%%") + "-%06d.tar"
                writer = ShardWriter(pattern, maxcount=SHARD_SAMPLES, maxsize=SHARD_BYTES, verbose=0)
                shards[scene.split] = stack.enter_context(writer)
            about = scene.provenance()
            for frame, image in scene.images():
                sample = {"__key__": f"{scene.name}_{frame:06d}", "jpg": _encoded(image, "JPEG")}
                for channel in scene.maps():
                    sample[f"{channel}.png"] = _encoded(scene.codes(channel, frame), "PNG")
                things = scene.things(frame) if "instance" in scene.maps() else []
                content = {"frame": frame, "objects": listed(things), "provenance": about}
                sample["json"] = json.dumps(content, allow_nan=False).encode()
                shards[scene.split].write(sample)


def _encoded(image: np.ndarray, kind: str) -> bytes:
    from PIL import Image

    target = BytesIO()
    options = {"quality": QUALITY, "subsampling": 0} if kind == "JPEG" else {"compress_level": 4}
    Image.fromarray(image).save(target, kind, **options)
    return target.getvalue()
