"""The recording that the pages speak of, as CARLA would have written it: drives/town.mp4 and carla/town."""

from pathlib import Path

import numpy as np
from simulator_files import FIRST, depth24, png, red, with_ids

from pipeline_core.video import media
from pipeline_core.world import make_scene, render

CHANNELS = ("depth", "semantic", "instance")


def write_town(folder: Path, frames: int, size=(96, 160)):
    """Writes clip and raw pictures below `folder`; returns the render that they are of."""
    drive = render(make_scene(800003), frames, size)
    for name in CHANNELS:
        (folder / "carla" / "town" / name).mkdir(parents=True)
    (folder / "drives").mkdir()
    media.write_clip(folder / "drives" / "town.mp4", drive.rgb, 20)
    classes, ids = drive.classes.numpy(), drive.instances.numpy().astype(np.int64)
    for t in range(frames):
        codes = depth24(drive.depth[t].double().clamp(max=1000).numpy()), red(classes[t]), with_ids(classes[t], ids[t])
        for name, picture in zip(CHANNELS, codes):
            png(folder / "carla" / "town" / name / f"{FIRST + t:06d}.png", np.ascontiguousarray(picture))
    return drive
