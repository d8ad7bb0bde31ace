"""One street of the world with every tag in it, small, as arrays for the simulators' encodings."""

from dataclasses import dataclass

import numpy as np

from pipeline_core.world import make_scene, render

T, H, W = 4, 48, 80


@dataclass
class Street:
    """A scene of the world: metres with the sky at 1000.0, current tags with every one of them somewhere, ids."""

    metres: np.ndarray
    classes: np.ndarray
    ids: np.ndarray
    rgb: np.ndarray


def make_street(seed):
    drive = render(make_scene(seed), T, (H, W), "synthetic")
    classes = drive.classes.numpy().copy()
    for tag in range(30):  # swatches of all tags in the middle, where a street has anything
        classes[:, 20:22, 2 * tag + 8 : 2 * tag + 10] = tag
    ids = drive.instances.numpy().astype(np.int64)
    rgb = (drive.rgb * 255).round().byte().numpy()
    return Street(drive.depth.double().clamp(max=1000).numpy(), classes, np.where(ids, ids + 300, 0), rgb)
