"""Windows over a long latent, at the place where ComfyUI's guiders ask the network.

Every native guider asks through calc_cond_batch, which hands the call to model_options["context_handler"] where there
is one. The two handlers here cut everything the conditions carry to the frames at hand: tensors of model_conds (VACE,
image concatenation, ...), batched prompts, and the maps of ControlNets, which ComfyUI's own handler leaves whole.
Frames too large for the model are asked for tile by tile (see tiles.py).
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import comfy.context_windows
import comfy.model_management
import comfy.model_patcher
import comfy.patcher_extension
import torch
from torch import Tensor

from ....pipeline_core.errors import UserError
from ....pipeline_core.job.settings import EnhanceSettings
from ....pipeline_core.longvideo.fused import fused_predict
from ....pipeline_core.longvideo.handover import handed_predict
from ....pipeline_core.longvideo.motion import latent_flow
from ....pipeline_core.longvideo.plan import Window, latent_frames, legal_length, plan_windows, shared_latent_frames
from ....pipeline_core.longvideo.tiles import tiled_predict
from ....pipeline_core.video.tiles import Tile, Tiles
from ..controls.clip_maps import tile_of
from ..run_cache import HANDLER, WINDOWS, run_cache
from .tiles import cond_in_tile, map_of_frames, refuse_areas, refuse_cutters, tensor_in_tile

HOST = __package__.removesuffix(".windows")  # where this pack's own controls are too
KNOWN_AXES = {"vace_context": 3, "audio_embed": 1}  # of conditions whose time is not where the latent's is


@dataclass(frozen=True)
class Layout:
    """How a latent is cut: windows in frames of the clip, spans in latent frames.

    dim: the latent's time, 2 for video models; 0 for image models, whose frames are the batch. ratio: frames of the
    clip per latent frame. tiles: of the frames, in latent cells; None: whole frames.
    """

    windows: list[Window]
    ratio: int
    dim: int
    tiles: Tiles | None = None

    @property
    def spans(self) -> list[range]:
        return [latent_frames(window, self.ratio) for window in self.windows]

    @property
    def total(self) -> int:
        return self.spans[-1].stop

    @property
    def lead_in(self) -> int:
        """Latent frames at the start of later windows that a causal model takes for the start of a scene."""
        return int(self.ratio > 1)

    def cut(self, x: Tensor | None, index: int) -> Tensor | None:
        """The window's frames of a tensor of the latent's form; what has no frames of its own stays whole."""
        if x is None or x.shape[self.dim] != self.total:
            return x
        span = self.spans[index]
        return x.narrow(self.dim, span.start, len(span))

    def as_video(self, x: Tensor) -> Tensor:
        """(B, C, T, h, w), whichever the latent's own form is."""
        return x if self.dim == 2 else x.movedim(0, 1)[None]

    def as_latent(self, x: Tensor) -> Tensor:
        """Back from `as_video`."""
        return x if self.dim == 2 else x[0].movedim(0, 1)


def layout_of(shape: Sequence[int], window: int, overlap: int, temporal_ratio: int) -> Layout:
    """The windows over a latent of this shape; window and overlap in frames of the clip.

    The frames of an image model's latent have one picture each, whatever temporal_ratio says. UserError for a window or
    an overlap that is not possible, and for latents of another kind.
    """
    if len(shape) not in (4, 5):
        raise UserError(
            f"A latent of {len(shape)} dimensions came, but windows need a video latent (5) or a batch of images (4); "
            "give the video's latent alone."
        )
    dim, ratio = (2, temporal_ratio) if len(shape) == 5 else (0, 1)
    return Layout(plan_windows(1 + (shape[dim] - 1) * ratio, window, overlap, ratio), ratio, dim)


@dataclass(frozen=True, eq=False)
class SourceMotion:
    """The clip's frames (F, H, W, 3) and what finds the optical flow of a window of them, see conditions/flow.py."""

    frames: Tensor
    estimate: Callable[[Tensor], Tensor]

    def between(self, layout: Layout, index: int, size: tuple[int, int]) -> Tensor:
        """Flow in latent cells from every latent frame of a window to those it shares with the one before."""
        window = layout.windows[index]
        _, ours = shared_latent_frames(layout.windows[index - 1], window, layout.ratio)
        if legal_length(len(self.frames), layout.ratio) != layout.windows[-1].stop:
            raise UserError(
                f"source has {len(self.frames)} frames and the latent stands for {layout.windows[-1].stop}; connect "
                "the clip that was encoded to source."
            )
        seen = self.frames[window.start : window.stop]
        seen = torch.cat([seen, *[seen[-1:]] * (window.length - len(seen))])
        return latent_flow(self.estimate(seen), layout.ratio, size, ours)


# -- cutting conditions ---------------------------------------------------------------------------------------------


def frame_window(span: range, total: int, dim: int, tile: Tile | None = None):
    """ComfyUI's own object for a window, which controls and some networks look at, with the tile that is asked for."""
    kind = comfy.context_windows.IndexListContextWindow
    newer = {"total_frames": total} if "total_frames" in inspect.signature(kind).parameters else {}
    window = kind(list(span), dim=dim, **newer)
    window.total_frames, window.tile = total, tile
    return window


def cut_conds(conds: list[dict] | None, window, whole: Tensor, model) -> list[dict] | None:
    """New entries as `window` and its tile see them. whole: a tensor of the whole latent's shape."""
    if conds is None:
        return None
    entries, tile = [], tile_of(window)
    refuse_areas(conds, tile)
    for entry in conds:
        cut = dict(entry)
        for key, value in entry.items():
            if isinstance(value, Tensor):
                cut[key] = tensor_in_tile(_cut_tensor(key, value, window), tile)
            elif isinstance(value, dict):
                parts = {name: _cut_cond(name, cond, window, whole, model) for name, cond in value.items()}
                cut[key] = {name: cond_in_tile(part, tile) for name, part in parts.items()}
        entries.append(cut)
    return entries


def _cut_cond(name: str, cond, window, whole: Tensor, model):
    resize = getattr(model, "resize_cond_for_context_window", None)  # newer cores know their models' own ways
    resized = resize(name, cond, window, whole, None) if resize is not None else None
    if resized is not None:
        return resized
    if isinstance(cond, Tensor):
        return _cut_tensor(name, cond, window)
    if name == "num_video_frames":
        return cond._copy_with(len(window.index_list))
    values = getattr(cond, "cond", None)
    if not isinstance(values, Tensor):
        return cond
    cut = _cut_tensor(name, values, window)
    return cond if cut is values else cond._copy_with(cut)


def _cut_tensor(name: str, values: Tensor, window) -> Tensor:
    """The window's frames of a tensor that has as many as the latent, where its kind has its time; else itself."""
    axis = KNOWN_AXES.get(name, window.dim) if window.dim else 0
    fits = axis < values.ndim and (name in KNOWN_AXES or values.ndim == 5 or window.dim == 0)
    if not fits or values.shape[axis] != window.total_frames or window.total_frames == 1:
        return values
    return window.get_tensor(values, dim=axis)


@contextmanager
def cut_controls(conds: Sequence[list[dict] | None], window, ratio: int, cache: dict, device) -> Iterator[None]:
    """Let every ControlNet of these conditions see the window's frames of its map alone, and of them its tile.

    Controls of this pack and of Advanced-ControlNet cut their maps themselves. cache: prepared maps of earlier calls,
    by control and window, because some controls encode their map anew wherever it changes; they wait in main memory,
    and only those of the window at work are on `device`. What tiles are cut from is there for one window at a time, and
    is not made for a control that has its prepared map.
    """
    controls: dict[int, object] = {}
    for entry in (entry for entries in conds for entry in entries or ()):
        control = entry.get("control")
        while control is not None:
            controls[id(control)] = control
            control = control.previous_controlnet
    changed, tile = [], tile_of(window)
    refuse_cutters(controls.values(), tile)
    try:
        for control in controls.values():
            hint = control.cond_hint_original
            if not isinstance(hint, Tensor) or _cuts_itself(control) or (len(hint) == 1 and tile is None):
                continue
            extra = getattr(control, "extra_concat_orig", None)
            prepared = cache.get(_place(control, window))
            prepared = prepared.to(device) if isinstance(prepared, Tensor) else prepared
            changed.append((control, hint, extra, prepared))
            frames = slice(None) if len(hint) == 1 else _map_frames(len(hint), window, ratio)
            maps = [hint[frames], *(part[frames] if len(part) == len(hint) else part for part in extra or ())]
            if tile is not None and prepared is None:
                maps = [tile.cut(whole) for whole in _maps_of_frames(maps, control, window, cache)]
            control.cond_hint_original = maps[0]
            if extra:
                control.extra_concat_orig = maps[1:]
            _show(control, prepared)
        yield
    finally:
        for control, hint, extra, prepared in changed:
            if (current := control.cond_hint) is not prepared:
                cache[_place(control, window)] = current.cpu() if isinstance(current, Tensor) else current
            control.cond_hint_original = hint
            _show(control, None)
            if extra:
                control.extra_concat_orig = extra


def _maps_of_frames(maps: list[Tensor], control, window, cache: dict) -> list[Tensor]:
    """A control's maps of a window at the size that tiles are cut from: resized for the first of its tiles."""
    key, place = ("maps of frames", id(control)), (window.index_list[0], len(window.index_list))
    if cache.get(key, (None,))[0] != place:
        cache[key] = place, [map_of_frames(frames, control, tile_of(window)) for frames in maps]
    return cache[key][1]


def _place(control, window) -> tuple:
    return id(control), window.index_list[0], len(window.index_list), tile_of(window)


def _show(control, prepared) -> None:
    """Have the control follow this prepared map, None for one it has to prepare."""
    control.cond_hint = prepared
    if hasattr(control, "control_input"):
        control.control_input = None  # a T2I adapter's answer to the map it followed before


def _cuts_itself(control) -> bool:
    return type(control).__module__.startswith(HOST) or hasattr(control, "sub_idxs")


def _map_frames(count: int, window, ratio: int) -> list[int]:
    """Which frames of a map of `count` belong to the window."""
    span, total = window.index_list, window.total_frames
    if window.dim == 0:
        return [frame % count for frame in span]  # ComfyUI repeats a map that is shorter than the batch
    if count == total:
        return list(span)
    if count == 1 + (total - 1) * ratio:
        return list(range(span[0] * ratio, span[-1] * ratio + 1))
    raise UserError(
        f"A control map has {count} frames and the latent stands for {1 + (total - 1) * ratio}; give the control's "
        "image as many frames as the clip, or one."
    )


# -- the handlers ---------------------------------------------------------------------------------------------------


class _Handler(comfy.context_windows.ContextHandlerABC):
    """What both handlers share: one window's answer."""

    def should_use_context(self, model, conds, x_in, timestep, model_options) -> bool:
        return True

    def get_resized_cond(self, cond_in, x_in, window, device=None) -> list:
        return cut_conds(cond_in, window, x_in, None)

    def __deepcopy__(self, memo):
        return self  # older cores copy everything a MODEL carries whenever it is cloned

    def _answer(self, ask, model, conds, layout: Layout, index: int, x: Tensor, timestep, model_options) -> list:
        """[x0 per condition] of the window's own latent x; ask: ComfyUI's calc_cond_batch. Cancel is heard here."""
        shape = list(x.shape)
        shape[layout.dim] = layout.total
        whole = torch.empty(shape, device="meta")

        def predictor(tile: Tile | None):
            window = frame_window(layout.spans[index], layout.total, layout.dim, tile)
            shown = {**model_options.get("transformer_options", {}), "context_window": window}

            def predict(part: Tensor, _: float, branches: Sequence) -> list[Tensor]:
                comfy.model_management.throw_exception_if_processing_interrupted()
                own = [cut_conds(entries, window, whole, model) for entries in branches]
                with cut_controls(own, window, layout.ratio, run_cache(model_options), x.device):
                    return ask(model, own, part, timestep, {**model_options, "transformer_options": shown})

            return predict

        if layout.tiles is None:
            return predictor(None)(x, 0.0, conds)
        return tiled_predict([predictor(tile) for tile in layout.tiles], layout.tiles)(x, 0.0, conds)


class ShownWindow(_Handler):
    """Answers for one window at a time, whose latent alone comes; `index` says which. Belongs to one run."""

    def __init__(self, layout: Layout):
        self.layout, self.index = layout, 0

    def execute(self, calc_cond_batch, model, conds, x_in, timestep, model_options):
        return self._answer(calc_cond_batch, model, conds, self.layout, self.index, x_in, timestep, model_options)


class WindowedPredictions(_Handler):
    """Answers for a whole long latent at every step: by windows, averaged or each held to the one before.

    handover: fused (weighted average) or mean, motion (the difference on shared frames is corrected in the later window
    and spread over its other frames). layout: of a latent's shape. Keeps nothing of a run: a MODEL can carry it.
    """

    def __init__(
        self,
        layout: Callable[[Sequence[int]], Layout],
        handover: str,
        motion: SourceMotion | None = None,
        anchor: float = EnhanceSettings.anchor,
    ):
        self.layout, self.handover, self.motion, self.anchor = layout, handover, motion, anchor

    def execute(self, calc_cond_batch, model, conds, x_in, timestep, model_options):
        layout = self.layout(x_in.shape)

        def predictor(index: int):
            def predict(x: Tensor, _: float, branches: Sequence[int]) -> list[Tensor]:
                asked = [conds[branch] for branch in branches]
                at = layout.cut(timestep, index) if layout.dim == 0 else timestep
                own = layout.as_latent(x)
                answers = self._answer(calc_cond_batch, model, asked, layout, index, own, at, model_options)
                return [layout.as_video(answer) for answer in answers]

            return predict

        predicts = [predictor(index) for index in range(len(layout.windows))]
        if self.handover == "fused" or len(predicts) == 1:
            predict = fused_predict(predicts, layout.spans, layout.lead_in)
        else:
            flow = self._flow(layout, layout.as_video(x_in), run_cache(model_options))
            predict = handed_predict(predicts, layout.windows, layout.ratio, self.anchor, flow)
        return [layout.as_latent(answer) for answer in predict(layout.as_video(x_in), 0.0, range(len(conds)))]

    def _flow(self, layout: Layout, state: Tensor, cache: dict) -> Callable[[int], Tensor] | None:
        """The source's motion by window, estimated once a run; None where the hand-over does not follow it."""
        if self.handover != "motion":
            return None

        def flow(index: int) -> Tensor:
            if ("flow", index) not in cache:
                cache["flow", index] = self.motion.between(layout, index, tuple(state.shape[-2:])).to(state.device)
            return cache["flow", index]

        return flow


def with_handler(
    options: Mapping, handler: _Handler, frames: int, dim: int | None, tile: tuple[int, int] | None = None
) -> dict:
    """A copy of model_options with the handler in it, and memory reserved for a window instead of the whole latent.

    frames: latent frames of a window. dim: the latent's time; None: by the latent's number of dimensions.
    tile: (height, width) in latent cells of what the model sees at once, where frames are cut.
    """
    copied = comfy.model_patcher.create_model_options_clone(dict(options))
    if HANDLER in copied:
        raise UserError("This model has context windows already; connect the model from before that node.")
    copied[HANDLER] = handler

    def one_window(executor, model, noise_shape, *args, **kwargs):
        shape = list(noise_shape)
        time = dim if dim is not None else (2 if len(shape) == 5 else 0)
        shape[time] = min(shape[time], frames)
        shape[-2:] = tile or shape[-2:]
        return executor(model, shape, *args, **kwargs)

    kind = comfy.patcher_extension.WrappersMP.PREPARE_SAMPLING
    comfy.patcher_extension.add_wrapper_with_key(kind, WINDOWS, one_window, copied, is_model_options=True)
    return copied


def windowed_guider(guider, handler: _Handler, layout: Layout):
    """A copy of the guider that asks the network through the handler; the guider itself stays as it was."""
    clone = copy.copy(guider)
    frames = max(len(span) for span in layout.spans)
    tile = None if layout.tiles is None else layout.tiles.side
    clone.model_options = with_handler(guider.model_options, handler, frames, layout.dim, tile)
    return clone


def windowed_model(model, handler: WindowedPredictions, window_latents: int):
    """A clone of the MODEL that answers for any length, window by window."""
    clone = model.clone()
    clone.model_options = with_handler(clone.model_options, handler, window_latents, None)
    return clone
