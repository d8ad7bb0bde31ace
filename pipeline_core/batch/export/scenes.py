"""One enhanced clip beside what its source's buffers say of every frame."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...conditions.buffers import Buffers
from ...errors import UserError
from ...video import media
from ...video.frames import middle_pixels
from .things import Thing, things_of

QUALITY = 95  # of JPEG pictures, with full chroma


@dataclass(frozen=True)
class Scene:
    """A result that goes into the data set.

    name: letters, figures and "-", unlike any other's; split: the set it belongs to; row: as it was written; source:
    the clip's path below the input folder; model: what it was made with; path: the enhanced clip; size (height, width)
    and frames of it; every: N, every Nth frame is taken; buffers: the source's, or None. `tally` counts the frames and
    objects that were taken.
    """

    name: str
    split: str
    row: dict
    source: str
    model: str
    path: Path
    frames: int
    size: tuple[int, int]
    fps: float
    every: int
    buffers: Buffers | None
    tally: Counter = field(default_factory=Counter)

    def __post_init__(self) -> None:
        if self.buffers is None:
            return
        if self.frames > self.buffers.frames:
            raise UserError(
                f"{self.path} has {self.frames} frames and its source {self.buffers.frames}: enhance the clip again."
            )
        check_shape(self.size, (self.buffers.height, self.buffers.width), str(self.path))

    def taken(self) -> range:
        """The numbers of the frames that are taken."""
        return range(0, self.frames, self.every)

    def images(self) -> Iterator[tuple[int, np.ndarray]]:
        """(number, (H, W, 3) uint8) of the frames that are taken, one at a time."""
        for t, frame in enumerate(media.read_frames(self.path, 0, self.frames)):
            if t % self.every == 0:
                self.tally["frames"] += 1
                yield t, frame.numpy()

    def things(self, frame: int) -> list[Thing]:
        """The objects of a frame, in the result's pixels."""
        height, width = self.size
        scale = height / self.buffers.height, width / self.buffers.width
        things = things_of(self.codes("instance", frame), self.buffers.lights, frame, scale)
        self.tally.update(thing.name for thing in things)
        return things

    def codes(self, channel: str, frame: int) -> np.ndarray:
        """The codes of a frame, (H, W, 3) uint8 in CARLA's encodings, in the result's pixels: as they are where both
        have one size, else the one that stands at the middle of each pixel."""
        picture = self.buffers.picture(channel, frame)
        if picture.shape[:2] == self.size:
            return picture
        rows, columns = (middle_pixels(old, new).numpy() for old, new in zip(picture.shape[:2], self.size))
        return picture[rows[:, None], columns]

    def save_codes(self, channel: str, frame: int, path: Path) -> None:
        """A channel's picture of a frame as PNG in CARLA's encoding: the source's own file where both have one size."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if (self.buffers.height, self.buffers.width) == self.size:
            shutil.copyfile(self.buffers.picture_path(channel, frame), path)
        else:
            save_png(path, self.codes(channel, frame))

    def maps(self) -> tuple[str, ...]:
        """The channels that are written beside the pictures: what the buffers have of these."""
        channels = () if self.buffers is None else self.buffers.channels
        return tuple(name for name in ("instance", "semantic", "depth") if name in channels)

    def save_maps(self, folder: Path, frame: int, name: str) -> dict[str, str]:
        """Write FOLDER/CHANNEL/SPLIT/NAME.png of every channel; {channel: that path, below the folder}."""
        paths = {channel: f"{channel}/{self.split}/{name}.png" for channel in self.maps()}
        for channel, path in paths.items():
            self.save_codes(channel, frame, folder / path)
        return paths

    def provenance(self) -> dict:
        """Where the result comes from, how it was made and how it was judged, as plain data without absolute paths."""
        names = ("id", "variant", "status", "seed", "settings", "prompts", "figures", "verdict", "hashes")
        about = {name: self.row.get(name) for name in names}
        size = {"frames": self.frames, "every": self.every, "size": list(self.size), "fps": self.fps}
        return {"name": self.name, "split": self.split, "source": self.source, "model": self.model, **about, **size}


def check_shape(size: tuple[int, int], source: tuple[int, int], what: str) -> None:
    """UserError unless a picture of `size` can be the whole of one of the source's size (height, width), to a pixel:
    else labels would lie beside what they name. what: whose size it is, as the sentence begins."""
    if min(abs(size[1] - source[1] * size[0] / source[0]), abs(size[0] - source[0] * size[1] / source[1])) > 1:
        raise UserError(
            f"{what} is {size[1]}x{size[0]} and its source {source[1]}x{source[0]}, another shape, so the source's "
            "labels do not fit it: enhance whole frames without cropping, and bring stretched ones back to the "
            "source's size."
        )


def save_jpeg(path: Path, image: np.ndarray) -> None:
    """(H, W, 3) uint8 as JPEG, making its folder."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, "JPEG", quality=QUALITY, subsampling=0)


def save_png(path: Path, image: np.ndarray) -> None:
    """(H, W, 3) or (H, W) uint8, or (H, W) uint16, as PNG, making its folder."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, "PNG", compress_level=4)
