"""What a feature network sees: objects that stay what they are, and frames that stay alike over time.

The network is any callable frames (N, H, W, 3) in [0, 1] -> features (N, D), such as `encoder.load_encoder` or
ComfyUI's CLIP_VISION.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from ..conditions.weights import class_tags
from ..perception.encoders import Encode
from .base import Figure, check_frames, check_masks, check_pair, mean_figure
from .views import box, extent, views

OBJECTS = {name: class_tags(name) for name in ("lights", "signs", "vehicles", "people")}
CROP = 64  # pixels each way of the crops given to the network


class ObjectAlignment:
    """Object alignment of 2511.14719: cosine of features of the same object in source and output.

    The paper finds objects anew in both clips and gives no matching rule; here the source's own masks cut out both
    (no detector, no matching). A view is the mask's bounding box, enlarged by a tenth, everything outside the mask
    grey, squeezed to 64 x 64 pixels. `alignment`: mean cosine over all views; `alignment_lights` and so on: over the
    views of a group. groups: {name: CARLA tags}; a group's objects are its instances of at least `min_pixels` pixels
    in a frame.
    """

    def __init__(self, encode: Encode, groups: Mapping[str, tuple[int, ...]] = OBJECTS, min_pixels: int = 64) -> None:
        self._encode, self.groups, self.min_pixels = encode, dict(groups), min_pixels
        self._cosines: dict[str, list[float]] = {name: [] for name in self.groups}
        self._frames = 0
        self.series: dict[str, list] = {"alignment": []}

    def update(self, output: Tensor, source: Tensor, classes: Tensor, instances: Tensor) -> None:
        """output, source (T, H, W, 3) in [0, 1]; classes, instances (T, H, W) integers of the source."""
        output, source = check_pair(output, source, self._frames, "source")
        check_masks(output, classes, instances)
        seen: list[tuple[int, str]] = []
        crops: list[Tensor] = []
        for t in range(len(output)):
            for name, tags in self.groups.items():
                for _, mask in views(classes[t], instances[t], tags, self.min_pixels):
                    seen.append((t, name))
                    crops += [crop(clip[t], mask.to(clip.device)) for clip in (source, output)]
        per_frame: list[list[float]] = [[] for _ in range(len(output))]
        if crops:
            with torch.no_grad():
                a, b = self._encode(torch.stack(crops)).float().cpu().view(len(seen), 2, -1).unbind(1)
            for (t, name), cosine in zip(seen, F.cosine_similarity(a, b, dim=1).tolist()):
                self._cosines[name].append(cosine)
                per_frame[t].append(cosine)
        self.series["alignment"] += [sum(values) / len(values) if values else None for values in per_frame]
        self._frames += len(output)

    def compute(self) -> dict[str, Figure]:
        every = [cosine for values in self._cosines.values() for cosine in values]
        groups = {"alignment": every, **{f"alignment_{name}": values for name, values in self._cosines.items()}}
        absent = f"no object of at least {self.min_pixels} pixels in the source" if self._frames else "no frames"
        return {
            name: mean_figure(values, "cosine", "higher", absent, f"{len(values)} views, the source's masks")
            for name, values in groups.items()
        }


def crop(frame: Tensor, mask: Tensor) -> Tensor:
    """(H, W, 3) cut to the mask's box and a tenth more, grey outside the mask, as (CROP, CROP, 3)."""
    spans = extent(mask)
    part = box(spans, [max(1, round(0.1 * len(span))) for span in spans])
    cut = torch.where(mask[..., None], frame, 0.5)[part]
    planes = F.interpolate(cut.movedim(-1, 0)[None], (CROP, CROP), mode="bilinear", antialias=True)
    return planes[0].movedim(0, -1).clamp(0, 1)


class FrameConsistency:
    """`frame_consistency`: mean cosine of the features of consecutive frames, CLIPFrame of InsV2V (2311.00213,
    section 5.2) where the features are CLIP's. Blind to slow drift and to anything the network does not see."""

    def __init__(self, encode: Encode) -> None:
        self._encode, self._last, self._frames = encode, None, 0
        self.series: dict[str, list] = {"frame_consistency": []}

    def update(self, output: Tensor) -> None:
        """output (T, H, W, 3) in [0, 1]."""
        output = check_frames(output, "output", self._frames)
        if len(output) == 0:
            return
        with torch.no_grad():
            features = self._encode(output).float().cpu()
        joined = features if self._last is None else torch.cat([self._last, features])
        cosines = F.cosine_similarity(joined[1:], joined[:-1], dim=1).tolist()
        self.series["frame_consistency"] += [None] * (len(output) - len(cosines)) + cosines
        self._last = features[-1:]
        self._frames += len(output)

    def compute(self) -> dict[str, Figure]:
        values = self.series["frame_consistency"][1:]
        return {"frame_consistency": mean_figure(values, "cosine", "higher", "fewer than two frames")}
