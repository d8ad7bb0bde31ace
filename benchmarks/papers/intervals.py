"""95 % intervals of a table's figures: the bootstrap over scenes, percentile form (Efron 1979).

Scenes are drawn, not frames or views: what one scene shows is one draw of the world, however often it is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

DRAWS = 4000


def interval(sums: Sequence[float], counts: Sequence[float] | None = None, seed: int = 0) -> list[float] | None:
    """[low, high] of sum(sums) / sum(counts) over scenes drawn with replacement; counts: 1 each by default.

    A share of views has the scene's kept views as its sum and all its views as its count. None without a count.
    """
    sums = torch.as_tensor(sums, dtype=torch.float64)
    counts = torch.ones_like(sums) if counts is None else torch.as_tensor(counts, dtype=torch.float64)
    if not counts.sum() > 0:
        return None
    draws = torch.randint(len(sums), (DRAWS, len(sums)), generator=torch.Generator().manual_seed(seed))
    below = counts[draws].sum(1)
    means = (sums[draws].sum(1) / below)[below > 0]
    return torch.quantile(means, torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()


def intervals(figures: Sequence[dict], base: Sequence[dict] | None = None) -> dict[str, list[float] | None]:
    """Of `guided.figures_of`'s figures, one dict a scene: PSNR, edge F1, the shares kept and the critic; with base, the
    figures of the same scenes by another method, also how far PSNR is above its."""
    ends = {
        "psnr": interval([each["psnr"] for each in figures]),
        "edge_f1": interval([each["edge_f1"] for each in figures if each["edge_f1"] is not None]),
        "critic": interval([float(torch.sigmoid(each["logits"]).mean()) for each in figures]),
    }
    for what in ("lamps", "vehicles", "signs"):
        views = [each["kept"][what] for each in figures]
        ends[what] = interval([sum(map(float, scene)) for scene in views], [len(scene) for scene in views])
    if base is not None:
        ends["above_default"] = interval([ours["psnr"] - theirs["psnr"] for ours, theirs in zip(figures, base)])
    return ends
