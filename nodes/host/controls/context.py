"""Controls that a model has inside itself, as CONTROL_NET: VACE contexts, Fun-Control latents, IC-LoRA guide frames.

ComfyUI gives such a control to the model as conditioning of the whole clip. Here it is a control object instead: asked
at every call of the network, it puts its map's latent for the frames at hand into what that call passes on. So it
can be weighed, masked, ranged, chained and cut to context windows like any ControlNet.
"""

from __future__ import annotations

import comfy.controlnet
import comfy.patcher_extension
import torch
from comfy.utils import common_upscale
from torch import Tensor

from ....pipeline_core.errors import UserError
from ....pipeline_core.models.families import FUN, GUIDE, VACE, control_kind
from ....pipeline_core.models.networks.grid import token_grid_weights
from ..running import sampling_models_kept
from .clip_maps import TIME, frame_size, frames_of_call, refuse_length, time_window


class ContextControl(comfy.controlnet.ControlBase):
    """One map for the model's own control input. It returns no terms: what it has to say goes into `cond`.

    Strengths are used as given. `set_weight_mask` makes a strength local, in place and time.
    """

    kind = ""

    def __init__(self, latent_format):
        super().__init__()
        self.latent_format = latent_format  # ComfyUI's mark of a control that needs the VAE input
        self.upscale_algorithm = "bilinear"  # as the native nodes resize a control video
        self.weight_mask: Tensor | None = None
        self._kept: dict[str, Tensor] = {}  # latents on the CPU, for every copy that shows the same map
        self._model, self._grid = None, None  # the grid: the mask over the whole clip's cells
        self._bounds = (float("inf"), 0.0)  # sigmas between which it acts

    def set_cond_hint(self, *args, **kwargs) -> ContextControl:
        self._kept = {}
        return super().set_cond_hint(*args, **kwargs)

    def set_weight_mask(self, mask: Tensor | None) -> ContextControl:
        """Multiply the strength by `mask` (F, H, W): pixels of the map's frames, or 1 frame for all of them."""
        self.weight_mask, self._grid = mask, None
        return self

    def copy(self) -> ContextControl:
        clone = type(self)(self.latent_format)
        self.copy_to(clone)
        clone.weight_mask, clone._kept = self.weight_mask, self._kept
        return clone

    def deepclone_multigpu(self, load_device, autoregister=False) -> ContextControl:
        clone = self.copy()
        if autoregister:
            self.multigpu_clones[load_device] = clone
        return clone

    def pre_run(self, model, percent_to_timestep_function) -> None:
        super().pre_run(model, percent_to_timestep_function)
        kind = control_kind(model.model_config.unet_config)
        if kind != self.kind:
            has = f"has the control input {kind}" if kind else "has no control input of its own"
            raise UserError(
                f"This control is for a model with the control input {self.kind}, but the model that samples {has}: "
                "connect that model to Model Control, or use a ControlNet made for it."
            )
        if self.vae is None:
            raise UserError("This control encodes its map: connect the model's VAE where the control is applied.")
        self._model = model
        # As float32, which the sampler's levels are: bounds that lie on a level hold.
        self._bounds = tuple(float(torch.tensor(float(sigma))) for sigma in self.timestep_range)

    def cleanup(self) -> None:
        super().cleanup()
        self._model, self._grid = None, None

    def get_control(self, x_noisy, t, cond, batched_number, transformer_options):
        before = None
        if self.previous_controlnet is not None:
            before = self.previous_controlnet.get_control(x_noisy, t, cond, batched_number, transformer_options)
        window = time_window(transformer_options)
        (high, low), sigma = self._bounds, float(t[0])
        if self.strength == 0 or not low <= sigma <= high:
            self._rest(cond, x_noisy, window)
        else:
            self._act(cond, x_noisy, window)
        return before

    def _rest(self, cond: dict, x_noisy: Tensor, window) -> None:
        """Leave `cond` as it is where the control does not act."""

    def _act(self, cond: dict, x_noisy: Tensor, window) -> None:
        """Put the map's latent for the frames of this call, weighed, into `cond`."""
        raise NotImplementedError

    def _hint(self, x_noisy: Tensor, window) -> Tensor:
        """(1, C, t, h, w) in model space: the map's latent for the frames of this call."""
        if self.cond_hint is None or not self._fits(self.cond_hint, x_noisy, window):
            latent = self._kept.get("map")
            if latent is None or not self._fits(latent, x_noisy, window):
                latent = self._kept["map"] = self._encoded(x_noisy, window).cpu()
            self.cond_hint, self._grid = latent.to(x_noisy.device), None
        return self._cut(self.cond_hint, x_noisy, window)

    def _fits(self, hint: Tensor, x_noisy: Tensor, window) -> bool:
        """Whether a latent made before is of this size; of a single frame, long enough as well."""
        if tuple(hint.shape[-2:]) != frame_size(x_noisy, window):
            return False
        if len(self.cond_hint_original) > 1:
            return True
        frames = hint.shape[TIME]
        return frames == x_noisy.shape[TIME] if window is None else frames > max(window.index_list)

    def _cut(self, values: Tensor, x_noisy: Tensor, window) -> Tensor:
        """The part of this call out of `values` (1, C, t, h, w) of the whole clip."""
        return frames_of_call(values, x_noisy, window, self._refuse_length)

    def _encoded(self, x_noisy: Tensor, window) -> Tensor:
        """The latent of the whole map, stretched to the size of the latent's frames."""
        frames = self.cond_hint_original
        count = x_noisy.shape[TIME] if window is None else getattr(window, "total_frames", 0)
        if len(frames) == 1:  # stands for all; older windows do not say how many that are
            frames = frames.expand(self._pixel_frames(count or max(window.index_list) + 1), -1, -1, -1)
        elif count and len(frames) != self._pixel_frames(count):
            self._refuse_length(count)
        height, width = (size * self.vae.spacial_compression_encode() for size in frame_size(x_noisy, window))
        return self._encode(common_upscale(frames, width, height, self.upscale_algorithm, "center"))

    def _encode(self, frames: Tensor) -> Tensor:
        """(F, 3, H, W) in [0, 1] to a latent in model space."""
        with sampling_models_kept():
            latent = self.vae.encode(frames.movedim(1, -1)[..., :3])
        return self._model.process_latent_in(latent)

    def _pixel_frames(self, latent_frames: int) -> int:
        return self.vae.upscale_ratio[0](latent_frames)

    def _refuse_length(self, latent_frames: int) -> None:
        refuse_length("control's map", len(self.cond_hint_original), self._pixel_frames(latent_frames))

    def _weights(self, x_noisy: Tensor, window, patch: tuple[int, int, int]) -> float | Tensor:
        """The strength, or where a mask weighs it (1, 1, t, h / p_h, w / p_w), for the frames of this call."""
        if self.weight_mask is None:
            return self.strength
        count = len(self.weight_mask)
        if count not in (1, len(self.cond_hint_original)):
            raise UserError(
                f"The weight mask has {count} frames and the control's map {len(self.cond_hint_original)}; give the "
                "mask as many frames, or one for all."
            )
        if self._grid is None:
            size = self.cond_hint.shape[TIME:]
            height, width = (side * self.vae.spacial_compression_encode() for side in size[1:])
            mask = self.weight_mask[:, None].to(x_noisy.device, torch.float32)
            mask = common_upscale(mask, width, height, "area", "center")[:, 0]  # as the map is cut
            self._grid = token_grid_weights(mask, size, patch)[None, None]
        return self._cut(self._grid * self.strength, x_noisy, window)


class VaceControl(ContextControl):
    """A VACE context of its own: inactive part grey, reactive part the map, everything to be generated."""

    kind = VACE

    def __init__(self, latent_format):
        super().__init__(latent_format)
        self._grey_hint: Tensor | None = None
        self._greys: dict[tuple, tuple] = {}  # (VAE, latent on the CPU) by shape, for all maps of one Model Control

    def copy(self) -> VaceControl:
        clone = super().copy()
        clone._greys = self._greys
        return clone

    def cleanup(self) -> None:
        super().cleanup()
        self._grey_hint = None

    def _rest(self, cond: dict, x_noisy: Tensor, window) -> None:
        if self._is_empty(cond):
            cond["vace_context"] = self._clip(cond["vace_context"], x_noisy, window)
            cond["vace_strength"] = [0.0]  # what a weight of 0 comes to; the next control takes its place

    def _act(self, cond: dict, x_noisy: Tensor, window) -> None:
        hint = self._hint(x_noisy, window)
        grey = self._grey(x_noisy, window)
        mask = hint.new_ones(1, 64, *hint.shape[2:])
        context = torch.cat([grey, hint, mask], 1)[:, None].expand(len(x_noisy), -1, -1, -1, -1, -1)
        weight = self._weights(x_noisy, window, self._model.diffusion_model.patch_size)
        weight = weight.flatten()[None, :, None] if torch.is_tensor(weight) else weight
        if self._is_empty(cond):
            cond["vace_context"], cond["vace_strength"] = context.to(cond["vace_context"]), [weight]
            return
        own = self._clip(cond["vace_context"], x_noisy, window)
        cond["vace_context"] = torch.cat([own, context.to(own)], 1)
        cond["vace_strength"] = [*cond["vace_strength"], weight]

    def _clip(self, contexts: Tensor, x_noisy: Tensor, window) -> Tensor:
        """(B, n, 96, t, h, w) for the frames of this call; older ComfyUI hands a window the whole clip's."""
        if contexts.shape[3] == x_noisy.shape[TIME] or window is None:
            return contexts
        return window.get_tensor(contexts, dim=3)

    def _is_empty(self, cond: dict) -> bool:
        """Whether the contexts are what the model makes up where nothing was given: one, of latent zero."""
        context = cond["vace_context"]
        if context.shape[1] != 1:
            return False
        empty = self._model.process_latent_in(context.new_zeros(1, 16, 1, 1, 1)).flatten()
        return torch.equal(context[0, 0, :32, 0, 0, 0], torch.cat([empty, empty]))

    def _grey(self, x_noisy: Tensor, window) -> Tensor:
        """The latent of a grey clip as long as the map's, for the frames of this call."""
        shape = tuple(self.cond_hint.shape[2:])
        vae, grey = self._greys.get(shape, (None, None))
        if vae is not self.vae:
            height, width = (size * self.vae.spacial_compression_encode() for size in shape[1:])
            frames = self.cond_hint.new_full((self._pixel_frames(shape[0]), 3, height, width), 0.5)
            grey = self._encode(frames).cpu()
            self._greys.clear()
            self._greys[shape] = self.vae, grey
        if self._grey_hint is None or self._grey_hint.shape != self.cond_hint.shape:
            self._grey_hint = grey.to(x_noisy.device)
        return self._cut(self._grey_hint, x_noisy, window)


class FunControl(ContextControl):
    """The map's latent in the control channels of a Fun-Control model; several maps are blended there by weight."""

    kind = FUN

    def _act(self, cond: dict, x_noisy: Tensor, window) -> None:
        hint = self._hint(x_noisy, window)
        own, channels = cond["c_concat"], hint.shape[1]
        if own.shape[TIME] != x_noisy.shape[TIME] and window is not None:
            own = window.get_tensor(own, dim=TIME)  # older ComfyUI hands a window the whole clip's
        weight = self._weights(x_noisy, window, (1, 1, 1))
        cond["c_concat"] = torch.cat([own[:, :channels] + (hint * weight).to(own), own[:, channels:]], 1)


class GuideControl(ContextControl):
    """The map as guide frames beside the clip, as LTX-Video's IC-LoRAs read it: appended, held clean, cut off again.

    The strength is how clean the guide is: 1 not noised at all, 0 as noised as the clip.
    """

    kind = GUIDE

    def _act(self, cond: dict, x_noisy: Tensor, window) -> None:
        guide = self._hint(x_noisy, window)
        weight = self._weights(x_noisy, window, (1, 1, 1))
        options = cond["transformer_options"]
        wrappers = {kind: dict(by_key) for kind, by_key in options.get("wrappers", {}).items()}
        calls = wrappers.setdefault(comfy.patcher_extension.WrappersMP.APPLY_MODEL, {})
        calls["video_realism_guides"] = [*calls.get("video_realism_guides", []), _guided(guide, weight)]
        cond["transformer_options"] = {**options, "wrappers": wrappers}


def _guided(guide: Tensor, weight: float | Tensor):
    """A wrapper of apply_model that shows the network `guide` after the clip, at the clip's own places in time."""

    def apply(executor, x: Tensor, t: Tensor, *args, **kwargs):
        network, frames = executor.class_obj.diffusion_model, x.shape[TIME]
        shown = guide.to(x).expand(len(x), -1, -1, -1, -1)
        cells = shown[:, :1]
        clean = (cells.new_ones(cells.shape) * weight).clamp(0, 1)
        free = kwargs.get("denoise_mask")
        if free is None:
            free = x.new_ones(len(x), 1, *x.shape[2:])
        free = free.to(x).expand(len(x), -1, frames, *x.shape[3:])[:, :1]
        kwargs["denoise_mask"] = torch.cat([free, 1 - clean], TIME)
        known = kwargs.get("keyframe_idxs")
        places = _places(network, shown)
        kwargs["keyframe_idxs"] = places if known is None else torch.cat([known.to(places), places], 2)
        return executor(torch.cat([x, shown], TIME), t, *args, **kwargs)[:, :, :frames]

    return apply


def _places(network, guide: Tensor) -> Tensor:
    """Pixel coordinates of the guide's tokens, which begin with the clip."""
    from comfy.ldm.lightricks.symmetric_patchifier import latent_to_pixel_coords

    _, cells = network.patchifier.patchify(guide)
    return latent_to_pixel_coords(cells, network.vae_scale_factors, causal_fix=True)


CONTROLS = {control.kind: control for control in (VaceControl, FunControl, GuideControl)}
