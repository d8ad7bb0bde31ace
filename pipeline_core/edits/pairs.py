"""A pair of clips from a pair of captions: Prompt-to-Prompt from noise that both share, or the world's exact one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..conditions.buffers import Buffers
from ..diffusion import CFG, Only, guided, invert, sample
from ..errors import UserError
from ..job.inputs import window_inputs, window_predictor
from ..job.plan import Job
from ..job.settings import EnhanceSettings
from ..models.networks.text import is_chat
from ..models.networks.video_model import VideoModel
from ..video.frames import resize
from ..world import STYLES, drive_scene, render_styles
from .alignment import ALIGNMENTS, TokenMap, token_map
from .replacement import Shares, replacing, replacing_predict
from .triples import Triple

STARTS = ("noise", "inversion")
_SAME = 0.05  # of mean difference between a clip and its scene rendered again; another scene's is several times that


@dataclass(frozen=True)
class PairSettings:
    """shares: of the steps in which attention is replaced. alignment: see `alignment.token_map`. start: "noise", fresh
    and the same for both, or "inversion", the clip's own under the source's caption, which then is the clip again.
    steps, cfg, controls: as in EnhanceSettings, None is the model's preset."""

    shares: Shares = Shares()
    alignment: str = "auto"
    start: str = "noise"
    steps: int | None = None
    cfg: float | None = None
    controls: dict[str, float] | None = None

    def __post_init__(self) -> None:
        for name, known in (("alignment", ALIGNMENTS), ("start", STARTS)):
            value = getattr(self, name)
            if value not in known:
                raise UserError(f"{name} is {value!r} but must be one of {', '.join(known)}: change {name}.")

    def job(self, seed: int) -> EnhanceSettings:
        """The settings by which the clip's job is planned."""
        return EnhanceSettings(start="noise", steps=self.steps, cfg=self.cfg, controls=self.controls, seed=seed)


def caption_map(model: VideoModel, triple: Triple, alignment: str = "auto") -> TokenMap:
    """`token_map` of a triple's captions as the model reads them."""
    chat, length = is_chat(type(model.text_encoder).__name__), model.preset.max_text_tokens
    return token_map(model.tokenizer, triple.caption, triple.edited_caption, length, chat, alignment)


def model_pair(
    job: Job, clip: Tensor, triple: Triple, settings: PairSettings, step_done: Callable[[], None] = lambda: None
) -> tuple[Tensor, Tensor]:
    """(source, edit), each (T, h, w, 3) in [0, 1], by Prompt-to-Prompt under the clip's control maps.

    job: `prepare`d with `settings.job(seed)` for the clip, of one window; clip: its frames (T, h, w, 3) at the model's
    size. Both sides go through the network in one batch. step_done is called after every step and may raise, to cancel.
    UserError for Cosmos 3, whose text is no attention of its own.
    """
    model = job.model
    if model.text_encoder is None:
        raise UserError(
            "Cosmos 3 has no attention to the text alone that could be replaced: give a Cosmos-Transfer model."
        )
    inputs, x0 = window_inputs(job, 0, clip), model.encode(clip)
    # One by one: in a batch the same caption may come out another in its last bits.
    captions = [model.encode_text([caption]) for caption in (triple.caption, triple.edited_caption)]
    texts = {
        "positive": torch.cat(captions),
        "negative": model.encode_text([job.settings.negative_prompt]),
    }
    predict = window_predictor(replace(job, texts=texts), inputs)
    networks = [model.transformer, *(model.branches[name] for name in job.weights)]
    passes = {"interpolant": job.interpolant, "callback": lambda *_: step_done()}
    noise, solver, under = _start(replace(job, texts={"positive": captions[0]}), inputs, x0, settings, passes)
    tokens = caption_map(model, triple, settings.alignment).to(model.device, torch.float32)
    with replacing(networks, tokens) as replacement:
        paired = replacing_predict(predict, replacement, job.sigmas, settings.shares)
        denoise = guided(paired, CFG(job.settings.cfg))
        both = [None if part is None else part.expand(2, *part.shape[1:]) for part in (noise, under)]
        latent = sample(denoise, both[0], job.sigmas, x0=both[1], solver=solver, model_dtype=x0.dtype, **passes)
    source, edited = (model.decode(latent[i : i + 1]).clamp(0, 1).cpu() for i in range(2))
    return source, edited


def _start(job: Job, inputs: dict[str, Tensor], x0: Tensor, settings: PairSettings, passes: dict) -> tuple:
    """(noise, solver, the latent under the noise) that both sides start from, as one."""
    if settings.start == "noise":
        generator = torch.Generator().manual_seed(job.settings.seed)
        return torch.randn(x0.shape, generator=generator).to(x0), job.settings.solver, None
    describe = guided(window_predictor(job, inputs), Only("positive"))
    inversion = invert(describe, x0, job.sigmas, **passes)
    return inversion.noise, inversion.solver, x0


def exact_pair(
    buffers: Buffers | None, clip: Tensor, size: tuple[int, int], styles: tuple[str, str] | None
) -> tuple[Tensor, Tensor]:
    """(source, edit), each (T, h, w, 3): the world's scene that the buffers name, rendered in two of its STYLES.

    clip: the scene's first frames, which are rendered too, to see that it is that scene. UserError for a clip without
    the world's buffers or of another scene, and for an edit that is not from one style to another.
    """
    scene = {} if buffers is None else buffers.scene
    seed, fps, style = scene.get("seed"), scene.get("fps"), scene.get("style")
    if type(seed) is not int or not isinstance(fps, (int, float)) or style not in STYLES:
        raise UserError("This clip's buffers name no scene of the world: render it, or make pairs by the model.")
    if styles is None or not set(styles) <= set(STYLES):
        raise UserError(
            "This edit is not from one style of the world to another: an exact pair has look or style edits."
        )
    scene = drive_scene(seed, buffers.frames, fps)
    renders = render_styles(scene, len(clip), size, tuple({style, *styles}))
    if float((renders[style].rgb - resize(clip, size)).abs().mean()) > _SAME:
        raise UserError(f"This clip is not scene {seed} as its buffers say, or of another version: render it again.")
    return renders[styles[0]].rgb, renders[styles[1]].rgb
