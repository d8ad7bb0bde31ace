"""What each part of a job costs at full size: one step of an inversion or a guided sampling, the VAE, the text encoder.

Everything runs through this pack's own code (guidance, solver, finite-check, VAE and text functions) on fake tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple
from functools import partial

import torch
from torch import Tensor
from torch.nn import Module

from ...diffusion import CFG, FLOW, VE, Only
from ...diffusion.guidance import Guidance, Predict, guided
from ...diffusion.inversion.exact import best_form, retrace_exact
from ...diffusion.run import Run
from ..folders.preset import Preset
from ..networks.cosmos3 import ORDER, Cosmos3Model
from ..networks.text import embed_tokens
from ..networks.vae import decode_latents, encode_clips, is_wan
from ..networks.video_model import VideoModel
from .cost import Cost
from .forwards import Transfer1Branch
from .networks import Studio, build, read_config
from .releases import Release

COMPUTE = torch.bfloat16
STEADY = 4  # latent frames until every further one of a Wan VAE is as the one before
LEVELS = [0.8, 0.7, 0.6]  # three of a grid: the step between the last two is the one that is traced
TYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}
Shape = tuple[int, int, int]  # (t, h, w) latent cells


def cells(release: Release, size: tuple[int, int], frames: int) -> Shape:
    """Latent cells of a clip of `frames` frames of (height, width) pixels."""
    family = release.family
    return 1 + (frames - 1) // family.temporal_ratio, size[0] // family.spatial_ratio, size[1] // family.spatial_ratio


def branch_network(studio: Studio, release: Release) -> Module:
    """One control branch of a release."""
    if release.name != "cosmos_transfer1":
        return studio.network(release.branch, COMPUTE)
    return studio.emptied(Transfer1Branch(build(read_config(release.branch))), COMPUTE)


class Step:
    """One call of a release's guider for a window of these cells: its networks and inputs are there before."""

    def __init__(self, studio: Studio, release: Release, shape: Shape, controls: int):
        self.studio, self.release, self.shape = studio, release, shape
        self.network = studio.network(release.network, COMPUTE)
        # One object for all: they are equal, and what they hold is counted with the weights.
        self.branches = [branch_network(studio, release)] * controls if release.branch else []
        # As it is kept between steps.
        self.state = studio.empty(1, release.family.channels, *shape, dtype=torch.float64)
        self.texts = {name: self._text(1) for name in ("positive", "negative", "inversion")}
        self.hints = [self._hint() for _ in range(controls)]

    def _hint(self) -> Tensor:
        t, h, w = self.shape
        pixels = self.release.family.spatial_ratio if self.release.hint == 3 else 1
        return self.studio.empty(1, self.release.hint, t, h * pixels, w * pixels)

    def _text(self, conditions: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Embeddings, or token ids for a network that reads itself: real ones, which are looked at once a pass."""
        if self.release.reads:
            return torch.zeros(conditions, self.release.tokens, dtype=torch.int64)
        return self.studio.empty(conditions, self.release.tokens, self.release.width, dtype=dtype)

    def bare(self, conditions: int) -> Cost:
        """The network alone on a batch, with everything in its own type: nothing of this pack."""
        inputs = self._inputs(conditions)
        with self.studio.traced() as tracker:
            self.release.forward(self.network, self.branches, *inputs)
        return tracker.cost

    def guided(self, cfg: float, together: int = 0) -> Cost:
        """One step down: guidance, solver and finite-check around it. together: conditions in one batch, 0 is all."""
        return self._walk(CFG(cfg), together)

    def inversion(self) -> Cost:
        """One step of what retraces or makes an inversion: one condition."""
        return self._walk(Only("inversion"), 1)

    def _inputs(self, conditions: int) -> tuple[Tensor, Tensor, Tensor, Sequence[Tensor]]:
        empty = partial(self.studio.empty, dtype=COMPUTE)
        x = empty(conditions, *self.state.shape[1:])
        hints = [empty(conditions, *hint.shape[1:]) for hint in self.hints]
        return x, empty(conditions, dtype=torch.float32), self._text(conditions, COMPUTE), hints

    def _walk(self, guidance: Guidance, together: int) -> Cost:
        interpolant = VE if self.release.family.interpolant == "ve" else FLOW
        predict = self._of_folder(together, interpolant) if self.release.folder else partial(self._predict, together)
        form = best_form(LEVELS, interpolant)
        carried = self.studio.empty(*self.state.shape, dtype=torch.float64)
        with self.studio.traced() as tracker:
            run = Run(guided(predict, guidance), len(LEVELS) - 1, torch.float32)
            retrace_exact(run, self.state, carried, LEVELS, form)
        return tracker.cost

    def _predict(self, together: int, x: Tensor, sigma: float, names: Sequence[str]) -> list[Tensor]:
        """x0 of every named prompt, as ComfyUI asks a network: in its own type, so many prompts in a batch."""
        answers: list[Tensor] = []
        size = together or len(names)
        for start in range(0, len(names), size):
            part = names[start : start + size]
            text = torch.cat([self.texts[name] for name in part]).to(COMPUTE)
            hints = [hint.to(COMPUTE).expand(len(part), *hint.shape[1:]) for hint in self.hints]
            shown = x.to(COMPUTE).repeat(len(part), 1, 1, 1, 1)
            time = torch.full((len(part),), sigma)
            answer = self.release.forward(self.network, self.branches, shown, time, text, hints)
            answers += (x - sigma * answer.float()).chunk(len(part))
        return answers

    def _of_folder(self, together: int, interpolant) -> Predict:
        """A loaded model folder's own prediction."""
        names = ORDER[: len(self.hints)]
        branches, device = dict(zip(names, self.branches)), torch.device("cpu")
        kind, preset = Cosmos3Model if self.release.reads else VideoModel, Preset(control_guidance=1.5)
        model = kind(self.network, branches, None, None, None, preset, device, bf16=True, together=together)
        return model.predictor(self.texts, dict(zip(names, self.hints)), dict.fromkeys(names, 0.5), interpolant)


def encoding(studio: Studio, release: Release, size: tuple[int, int], frames: int) -> Cost:
    """A window's frames, which are in main memory, to a latent."""
    return _coding(partial(_encoded, studio, release, size), studio, release, frames)


def decoding(studio: Studio, release: Release, size: tuple[int, int], frames: int) -> Cost:
    """A window's latent to frames."""
    return _coding(partial(_decoded, studio, release, size), studio, release, frames)


def _coding(run: Callable[[int], Cost], studio: Studio, release: Release, frames: int) -> Cost:
    """The cost of coding `frames` frames: image by image, or of a Wan VAE from its steady state.

    A Wan VAE codes one latent frame after the other with what it remembers of those before. From its fourth on each
    costs the same and adds the same to what is there, so that two traces say all; of the bytes moved all but a
    hundredth, because what is there is copied at every frame.
    """
    ratio = release.family.temporal_ratio
    if ratio == 1:
        return run(1).times(frames)
    count = 1 + (frames - 1) // ratio
    if not is_wan(vae_of(studio, release)) or count <= STEADY + 1:
        return run(frames)
    before, after = (astuple(run(1 + (each - 1) * ratio)) for each in (STEADY, STEADY + 1))
    return Cost(*(b + (a - b) * (count - STEADY) for b, a in zip(before, after)))


def _encoded(studio: Studio, release: Release, size: tuple[int, int], frames: int) -> Cost:
    vae = vae_of(studio, release)
    if release.folder:
        clip = studio.empty(1, frames, *size, 3)
        with studio.traced() as tracker, torch.autocast("cpu", COMPUTE):
            encode_clips(vae, clip)
        return tracker.cost
    pixels = studio.empty(*_pixels(release, size, frames), dtype=TYPES[release.vae_type])
    with studio.traced() as tracker:
        vae.encode(pixels).latent_dist.mode()
    return tracker.cost


def _decoded(studio: Studio, release: Release, size: tuple[int, int], frames: int) -> Cost:
    vae, images = vae_of(studio, release), release.family.temporal_ratio == 1
    t, h, w = cells(release, size, frames)
    latent = studio.empty(1, release.family.channels, t, h, w, dtype=TYPES[release.vae_type])
    latent = latent[:, :, 0] if images else latent
    # LTX-Video's decoder is shown how much noise is left.
    left = {"temb": studio.empty(1, dtype=latent.dtype)} if vae.config.get("timestep_conditioning") else {}
    with studio.traced() as tracker, torch.autocast("cpu", COMPUTE, enabled=release.folder):
        decode_latents(vae, latent.float()) if release.folder else vae.decode(latent, **left)
    return tracker.cost


def vae_of(studio: Studio, release: Release) -> Module:
    """A release's VAE in the type it computes in."""
    return studio.network(release.vae, TYPES[release.vae_type])


def _pixels(release: Release, size: tuple[int, int], frames: int) -> tuple[int, ...]:
    """What a VAE of the library reads: (1, 3, T, H, W), or (1, 3, H, W) where it knows images alone."""
    return (1, 3, frames, *size) if release.family.temporal_ratio > 1 else (1, 3, *size)


def reading(studio: Studio, release: Release) -> Cost:
    """One prompt to its embedding."""
    encoder = studio.network(release.text, COMPUTE)
    ids, mask = (studio.empty(1, release.tokens, dtype=torch.int64) for _ in range(2))
    with studio.traced() as tracker:
        embed_tokens(encoder, ids, mask)
    return tracker.cost
