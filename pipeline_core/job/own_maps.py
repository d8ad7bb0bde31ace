"""Maps that nobody brought, of a clip of the world: the world's own networks estimate them from its frames."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from functools import cached_property
from itertools import islice

import torch
from torch import Tensor

from ..conditions.estimated import Estimators
from ..perception.estimators import load_estimators
from ..perception.own import own_folder
from ..perception.world_distance import load_world_distance
from ..video.frames import as_floats, resize

OWN_MAPS = ("depth", "segmentation")
_LOOKED_AT, _AMONG = 8, 240  # frames that tell whose clip it is, and among how many of the first they are spread


class ClipLook:
    """A clip before its job: a few frames of it, and whether it is of the world; found out when it is first asked.

    read: as in `prepare`, or None. work_size: (height, width) at which frames are looked at.
    """

    def __init__(
        self,
        read: Callable[[], Iterable[Tensor]] | None,
        frame_count: int,
        work_size: tuple[int, int],
        device: torch.device,
    ) -> None:
        self.device, self._clip, self.readable = device, (read, frame_count, work_size), read is not None

    @cached_property
    def frames(self) -> Tensor:
        """As `frames_to_look_at`."""
        return frames_to_look_at(*self._clip)

    @cached_property
    def distance(self) -> tuple[float, float] | None:
        """How far the frames are from the world's, and how far its clips are at most; None where nothing can tell."""
        seer = own_folder("depth")
        known = load_world_distance(seer, self.device) if self.readable and seer is not None else None
        return None if known is None else (known.distance(self.frames), known.limit)

    @property
    def of_the_world(self) -> bool:
        return self.distance is not None and self.distance[0] <= self.distance[1]  # a NaN is none of the world's


def with_own_networks(estimators: Estimators, missing: Collection[str], look: ClipLook, notes: list[str]) -> Estimators:
    """The estimators with models/perception's for the controls `missing`, where the clip is of the world; a sentence
    about what was or was not done goes to the notes."""
    wanted = [name for name in OWN_MAPS if name in missing and own_folder(name)]
    if not wanted or look.distance is None:
        return estimators
    if not look.of_the_world:
        distance, limit = look.distance
        notes.append(
            f"The pack's own {' and '.join(wanted)} networks were left out: they know this pack's world alone, and the "
            f"clip is not of it (distance {distance:.2f}, of the world's clips at most {limit:.2f})."
        )
        return estimators
    folders = {name: own_folder(name) if name in wanted else None for name in OWN_MAPS}
    own = load_estimators(**folders, device=look.device)
    return replace(estimators, **{name: getattr(own, name) for name in wanted}, names={**estimators.names, **own.names})


def frames_to_look_at(read: Callable[[], Iterable[Tensor]], frame_count: int, work_size: tuple[int, int]) -> Tensor:
    """Up to eight frames (T, h, w, 3) of those that read() gives, spread over the first ten seconds or so."""
    among = min(frame_count, _AMONG)
    frames = islice(read(), 0, among, math.ceil(among / _LOOKED_AT))
    return torch.cat([resize(as_floats(frame)[None], work_size) for frame in frames])
