"""Holding places to the source: what a few latent cells show is there again, in the colours of the result's style.

A sign's colour stands in no control map. It is in the inverted noise alone, and a network that reads too little of it
paints another sign. Its prediction may stray there no farther from the source z than it does elsewhere:

    D <- D - w m (1 - min(1, u / |r|)) r,   r = D - z - c,   c = mean of D - z,   u = mean of |r|

c is the style's own change, channel by channel, and |r| the RMS of a cell's channels, both means over the cells with
m = 0. So what has become another thing is brought back, and what has not stays as it is. This while the noise is coarse
enough to decide what a thing is; below that the network alone paints it. With u = c = 0 and w m = 1 it is masked
sampling (RePaint, arXiv 2201.09865; Differential Diffusion, 2306.00950).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UserError
from .run import Denoise


def held(denoise: Denoise, x0: Tensor, places: Tensor, weight: float, lowest: float = 0.0) -> Denoise:
    """denoise(x, sigma), its answer held to the source in `places` while sigma is `lowest` or more.

    x0: the source's latent, (B, C, T, H, W) or (B, C, H, W). places: m, like x0 with one channel, and one sample for
    all or one each. weight: w in [0, 1], 0 is off. lowest: in the interpolant's own scale. Raises UserError for a
    weight out of range and places of another shape.
    """
    if not 0 <= weight <= 1:
        raise UserError(f"weight is {weight}, but it has to be between 0 and 1; change weight.")
    if places.shape[1] != 1 or places.shape[2:] != x0.shape[2:] or places.shape[0] not in (1, x0.shape[0]):
        raise UserError(
            f"places are {tuple(places.shape)} and x0 is {tuple(x0.shape)}, but one channel of x0's size is needed; "
            "change places."
        )

    def holding(x: Tensor, sigma: float) -> Tensor:
        answer = denoise(x, sigma)
        return hold(answer, x0.to(answer), places.to(answer), weight) if sigma >= lowest else answer

    return holding if weight else denoise


def hold(answer: Tensor, x0: Tensor, places: Tensor, weight: float) -> Tensor:
    """The clean prediction `answer`, held to x0 in places; shapes as `held` has them, of one dtype and device."""
    change, elsewhere = answer - x0, (places == 0).to(answer)
    axes = tuple(range(2, answer.ndim))
    # Where everything is held nothing says what the style changes: then it is nothing.
    cells = elsewhere.sum(axes, keepdim=True).clamp_min(1)
    strayed = change - (change * elsewhere).sum(axes, keepdim=True) / cells
    distance = strayed.square().mean(1, keepdim=True).sqrt()
    usual = (distance * elsewhere).sum(axes, keepdim=True) / cells
    too_far = 1 - (usual / distance.clamp_min(1e-12)).clamp_max(1)
    return answer - weight * places * too_far * strayed


def latent_places(mask: Tensor, size: tuple[int, int, int]) -> Tensor:
    """What of a mask falls into each latent cell: its largest value there, (1, 1, t, h, w).

    mask (T, H, W), bool or in [0, 1], of a size of its own; one frame stands for all. size: (t, h, w) of the latent. Of
    fewer latent frames than the mask has, the first stands for one frame and the others share the rest evenly, as
    causal video encoders do it.
    """
    t, *cells = size
    frames = F.adaptive_max_pool2d(mask[:, None].float(), cells)[:, 0]
    if len(frames) == 1:
        frames = frames.expand(t, *cells)
    elif len(frames) > t > 1:
        frames = torch.cat([frames[:1], F.adaptive_max_pool3d(frames[None, 1:], (t - 1, *cells))[0]])
    if len(frames) != t:
        raise UserError(
            f"The mask has {len(frames)} frames for {t} latent frames: give one for all, or one for each of the clip's."
        )
    return frames[None, None]
