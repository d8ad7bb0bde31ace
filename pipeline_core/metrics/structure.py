"""Structure kept: do the edges of the output lie where the edges of the source lie."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from ..conditions.edges import CANNY_PRESETS, GREY_L2, edge_map
from .base import Figure, check_pair


class EdgeF1:
    """Edge F1 of the output against the source.

    Both clips go through the same Canny (`conditions.edges.edge_map`; the operator "grey_l2", by which every figure of
    this pack was measured). Precision is the share of output edge pixels with a source edge pixel within one pixel (the
    8 neighbours count), recall the share of source edge pixels with an output edge pixel within one pixel, both over
    all frames together; F1 = 2 P R / (P + R). `edge_f1_exact` is the same without that tolerance, as PAI-Bench counts
    it (its edges are OpenCV's default ones, so numbers agree only roughly). The series holds every frame's own F1.
    """

    def __init__(self, preset: str = "medium") -> None:
        self._thresholds, self.preset = CANNY_PRESETS[preset], preset
        self._hits = [0, 0]
        self._edges = [0, 0]
        self._exact, self._frames = 0, 0
        self.series: dict[str, list] = {"edge_f1": []}

    def update(self, output: Tensor, source: Tensor) -> None:
        """Both (T, H, W, 3) in [0, 1]."""
        clips = check_pair(output, source, self._frames, "source")
        edges = [edge_map(clip.clamp(0, 1), *self._thresholds, operator=GREY_L2) for clip in clips]
        near = [F.max_pool2d(e[:, None], 3, 1, 1)[:, 0] for e in edges]
        hits = [(edges[i] * near[1 - i]).sum((1, 2)).long().tolist() for i in (0, 1)]
        counts = [edge.sum((1, 2)).long().tolist() for edge in edges]
        for i in (0, 1):
            self._hits[i] += sum(hits[i])
            self._edges[i] += sum(counts[i])
        self._exact += int((edges[0] * edges[1]).sum())
        self.series["edge_f1"] += [_f1(*frame) for frame in zip(*hits, *counts)]
        self._frames += len(output)

    def compute(self) -> dict[str, Figure]:
        names = ("edge_f1", "edge_precision", "edge_recall", "edge_f1_exact")
        empty = [who for who, count in zip(("output", "source"), self._edges) if count == 0]
        if len(empty) == 2:
            return {name: Figure(None, "", "higher", "no edges in either clip") for name in names}
        if empty:
            note = f"no edges in the {empty[0]}"
            precision = Figure(None if empty[0] == "output" else 0.0, "", "higher", note)
            recall = Figure(None if empty[0] == "source" else 0.0, "", "higher", note)
            none = Figure(0.0, "", "higher", note)
            return dict(zip(names, (none, precision, recall, none)))
        precision, recall = (hits / count for hits, count in zip(self._hits, self._edges))
        note = f"Canny {self.preset}, 1 px"
        values = (_f1(*self._hits, *self._edges), precision, recall)
        figures = {name: Figure(value, "", "higher", note) for name, value in zip(names, values)}
        exact = _f1(self._exact, self._exact, *self._edges)
        return {**figures, "edge_f1_exact": Figure(exact, "", "higher", f"Canny {self.preset}, same pixel")}


def _f1(hits: int, recalled: int, edges: int, wanted: int) -> float | None:
    """F1 of the share of `edges` that hit and the share of `wanted` recalled; None where neither has any edge."""
    if not edges or not wanted:
        return 0.0 if edges or wanted else None
    precision, recall = hits / edges, recalled / wanted
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
