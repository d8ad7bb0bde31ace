"""Motion compensation: the source's optical flow between latent frames, and a residual carried along it.

Latent frame k of a causal video VAE stands for pixel frame k * temporal_ratio, the last one it covers.
"""

from collections.abc import Iterator
from itertools import islice

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from ..errors import UserError

MIN_SEEN = 0.5  # of a frame: InsV2V's mask threshold
MIN_HITS = 0.15  # of a cell's pixels: where the picture grows, points of the earlier frame hit only some of them


def tracks(forward: Tensor, first: int) -> Iterator[Tensor]:
    """Where the pixels of frame `first` have gone by that frame and every later one: (H, W, 2), NaN where lost.

    forward (T, H, W, 2): flow (dx, dy) in pixels from each frame to the next, NaN where undefined. The flows are
    followed from frame to frame, bilinear in between.
    """
    H, W = forward.shape[1:3]
    start = pixel_grid(H, W, forward.device)
    position = start
    for motion in (*forward[first:].float(), None):
        yield torch.where(_inside(position, H, W)[..., None], position - start, torch.nan)
        if motion is not None:
            moved = position + _fetch(motion.movedim(-1, 0)[None], position[None])[0].movedim(0, -1)
            position = torch.where(_inside(position, H, W)[..., None], moved, torch.nan)


def latent_flow(forward: Tensor, temporal_ratio: int, size: tuple[int, int], shared: slice) -> Tensor:
    """Flow (t, R, h, w, 2) in latent cells from every latent frame of a window to each shared one, NaN where none.

    forward (T, H, W, 2): the source's flow over the window, T = 1 + (t - 1) temporal_ratio pixel frames (the last is
    not used). size: (h, w) of the latent. shared: the latent frames to go to. A later frame's flow back in time is
    the tracks of the earlier frame's pixels, turned round; where several land on one pixel, the one that moved
    furthest is taken to be the nearest.
    """
    frames = 1 + (len(forward) - 1) // temporal_ratio
    targets = range(frames)[shared]
    flow = torch.full((frames, len(targets), *size, 2), torch.nan, device=forward.device)
    for q in range(targets.start):
        for k, moved in enumerate(islice(tracks(forward[:-1], q * temporal_ratio), 0, None, temporal_ratio), q):
            if k in targets:
                flow[q, k - targets.start] = _to_cells(moved, size)
    for r in targets:
        for k, moved in enumerate(islice(tracks(forward[:-1], r * temporal_ratio), 0, None, temporal_ratio), r):
            flow[k, r - targets.start] = _to_cells(_turned(moved), size)
            if k in targets:
                flow[r, k - targets.start] = _to_cells(moved, size)
    return flow


def carry_along(residual: Tensor, flow: Tensor) -> Tensor:
    """The residual of the shared frames, fetched along the flow: sum_r warp(residual_r) / sum_r warp(1), or 0.

    residual (B, C, R, h, w); flow (t, R, h, w, 2) latent cells, see `latent_flow`. Returns (B, C, t, h, w); 0 where
    the shared frames see less than half a frame's worth of a point. Zeros lie around the picture, as in InsV2V: a
    point between the outermost cells' centres and those zeros is seen to its bilinear share.
    """
    B, _, R, h, w = residual.shape
    t = len(flow)
    where = pixel_grid(h, w, flow.device) + flow
    stacked = rearrange(residual, "b c r h w -> r (b c) h w")
    planes = torch.cat([stacked, torch.ones_like(stacked[:, :1])], 1)
    total = sum(_fetch(planes[r].expand(t, -1, -1, -1), where[:, r].to(residual)) for r in range(R))
    seen = total[:, -1:]
    mean = torch.where(seen > MIN_SEEN, total[:, :-1] / seen.clamp_min(MIN_SEEN), 0.0)
    return rearrange(mean, "t (b c) h w -> b c t h w", b=B)


def check_flow(flow: Tensor, z_ref: Tensor) -> None:
    """UserError unless flow is (t, R, h, w, 2) for the R shared frames of z_ref (B, C, R, h, w)."""
    if flow.ndim != 5 or (*flow.shape[1:4], flow.shape[4]) != (*z_ref.shape[2:], 2):
        raise UserError(
            f"Flow of shape {tuple(flow.shape)} came for a hand-over of {tuple(z_ref.shape)}: give (t, "
            f"{z_ref.shape[2]}, {z_ref.shape[3]}, {z_ref.shape[4]}, 2), see latent_flow."
        )


def pixel_grid(H: int, W: int, device: torch.device) -> Tensor:
    """(H, W, 2) of pixel positions (x, y)."""
    y, x = torch.meshgrid(torch.arange(H, device=device), torch.arange(W, device=device), indexing="ij")
    return torch.stack([x, y], -1).float()


def _inside(position: Tensor, H: int, W: int) -> Tensor:
    x, y = position.unbind(-1)
    return (x >= 0) & (x <= W - 1) & (y >= 0) & (y <= H - 1)  # False for NaN


def _fetch(planes: Tensor, position: Tensor) -> Tensor:
    """planes (N, C, H, W) at position (N, h, w, 2) in pixels, bilinear, zeros around the picture; 0 at NaN."""
    H, W = planes.shape[-2:]
    grid = ((2 * position + 1) / position.new_tensor([W, H]) - 1).nan_to_num(-3.0)
    return F.grid_sample(planes, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _turned(moved: Tensor) -> Tensor:
    """The displacement back, at the pixels where tracks end: (H, W, 2), NaN where none ends."""
    H, W = moved.shape[:2]
    seen = ~moved.isnan().any(-1)
    points, shift = pixel_grid(H, W, moved.device)[seen], moved[seen]
    x, y = (points + shift).round().long().unbind(-1)
    cell = y * W + x
    length = shift.norm(dim=-1)
    longest = length.new_zeros(H * W).scatter_reduce(0, cell, length, "amax")
    wins = length >= longest[cell]
    back = shift.new_zeros(H * W, 2).index_add(0, cell[wins], -shift[wins])
    hits = shift.new_zeros(H * W).index_add(0, cell[wins], torch.ones_like(length[wins]))
    back = back / hits.clamp_min(1)[:, None]
    return torch.where(hits[:, None] > 0, back, torch.nan).reshape(H, W, 2)


def _to_cells(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """Pixel flow (H, W, 2) averaged over each latent cell's known pixels, in cells: (h, w, 2), NaN where too few."""
    H, W = flow.shape[:2]
    known = ~flow.isnan().any(-1)
    planes = torch.cat([torch.where(known[..., None], flow, 0.0), known[..., None].float()], -1).movedim(-1, 0)
    dx, dy, share = F.adaptive_avg_pool2d(planes[None], size)[0]
    mean = torch.stack([dx * size[1] / W, dy * size[0] / H], -1) / share.clamp_min(1e-6)[..., None]
    return torch.where(share[..., None] >= MIN_HITS, mean, torch.nan)
