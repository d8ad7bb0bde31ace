"""A chain of control networks whose weights follow one rule, over any control object ComfyUI has."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from comfy.controlnet import ControlBase
from comfy.utils import common_upscale
from einops import rearrange
from torch import Tensor

from ....pipeline_core.conditions.stack import masked_weights, normalise_weights
from ....pipeline_core.errors import UserError


class StackedControl(ControlBase):
    """One control of the stack: an own copy of a control object, with its weight and its mask.

    The inner object is always a fresh copy, never what another node holds. It keeps its map and its range, and has
    no predecessor: the chain runs through this class, so that a mask weighs this control alone.
    """

    def __init__(self, inner: ControlBase, weight: float, mask: Tensor | None):
        super().__init__()
        self.inner, self.weight, self.mask = inner, weight, mask
        self.timestep_percent_range = inner.timestep_percent_range
        self.extra_hooks = inner.extra_hooks
        self.join([(weight, mask)], 0, weight, weight)
        self._share = None
        self._show(None)

    @property
    def map(self) -> Tensor:
        """(F, 3, H, W) in [0, 1]."""
        return self.inner.cond_hint_original

    def join(self, chain: list[tuple[float, Tensor | None]], place: int, peak: float, mean: float) -> None:
        """Become number `place` of `chain`, [(weight, mask)]: its weight there is at most `peak`, on average `mean`."""
        self._chain, self._place, self.peak, self.mean = chain, place, peak, mean
        self.inner.strength = peak

    def _around(self, inner: ControlBase) -> StackedControl:
        control = StackedControl(inner, self.weight, self.mask)
        control.join(self._chain, self._place, self.peak, self.mean)
        return control

    def copy(self) -> StackedControl:
        return self._around(self.inner.copy())

    def deepclone_multigpu(self, load_device, autoregister=False):
        clone = self._around(self.inner.deepclone_multigpu(load_device))
        if autoregister:
            self.multigpu_clones[load_device] = clone
        return clone

    def _masks_itself(self) -> bool:
        return hasattr(self.inner, "set_weight_mask")

    def _share_map(self) -> Tensor | None:
        """(F, H, W): this control's weight at every site as a share of its highest; None where it is constant."""
        weights, masks = zip(*self._chain)
        if all(mask is None for mask in masks) or self.peak == 0:
            return None
        frames = masked_weights(weights, masks, tuple(self.map.shape[-2:]))
        return torch.stack([maps[self._place] for maps in frames]) / self.peak

    def _show(self, frames: tuple[int, ...] | None) -> None:
        """Let the inner control see these frames of the map from now on; None for all."""
        self._frames = frames
        self._seen = self.map if frames is None or len(self.map) == 1 else self.map[list(frames)]
        self._fitted: dict[tuple, Tensor] = {}
        self.inner.cond_hint = None

    def pre_run(self, model, percent_to_timestep_function):
        super().pre_run(model, percent_to_timestep_function)
        if self._share is None:
            self._share = self._share_map()
        if self._masks_itself():
            self.inner.set_weight_mask(self._share)
        self._show(None)  # a run that ended in an error may have left one window's map behind
        self.inner.pre_run(model, percent_to_timestep_function)

    def cleanup(self):
        super().cleanup()
        self.inner.cleanup()
        self._share = None
        self._show(None)

    def get_models(self):
        return super().get_models() + self.inner.get_models()

    def inference_memory_requirements(self, dtype):
        return self.inner.inference_memory_requirements(dtype) + super().inference_memory_requirements(dtype)

    def get_control(self, x_noisy, t, cond, batched_number, transformer_options):
        before = None
        if self.previous_controlnet is not None:
            before = self.previous_controlnet.get_control(x_noisy, t, cond, batched_number, transformer_options)
        if self.peak == 0:
            return before
        arguments = x_noisy, t, cond, batched_number, transformer_options
        if self._masks_itself():
            own = self.inner.get_control(*arguments)
        else:
            own = self._shown_control(*arguments)
        return before if own is None else self.control_merge(own, before, output_dtype=None)

    def _shown_control(self, x_noisy, t, cond, batched_number, transformer_options):
        """What the inner control says to the frames of this call, weighed."""
        frames = self._window(x_noisy, batched_number, transformer_options)
        if frames != self._frames:
            self._show(frames)
        whole = self.map
        try:
            self.inner.cond_hint_original = self._seen
            own = self.inner.get_control(x_noisy, t, cond, batched_number, transformer_options)
        finally:
            self.inner.cond_hint_original = whole
        return own if own is None or self._share is None else self._weigh(own, x_noisy, batched_number)

    def _window(self, x_noisy: Tensor, batched_number: int, transformer_options: dict) -> tuple[int, ...] | None:
        """Frames that this call sees; None for all of them. Frames of an image model are batch items."""
        count = max(len(self.map), 1 if self._share is None else len(self._share))
        if count == 1 or (x_noisy.ndim == 5 and x_noisy.shape[2] > 1):
            return None
        window, frames = transformer_options.get("context_window"), len(x_noisy) // batched_number
        if window is not None and window.dim == 0:
            frames = max(window.index_list) + 1
            if frames <= count:
                return tuple(window.get_tensor(torch.arange(count)).tolist())
        elif frames == count:
            return None
        raise UserError(
            f"A map of ControlNet Condition Stack has {count} frames, but the latent {frames}: give the map input one "
            "frame for each latent frame, or a single frame."
        )

    def _weigh(self, own: dict, x_noisy: Tensor, batched_number: int) -> dict:
        """New tensors, each output times the share map at its size. One tensor in two places stays one tensor."""
        weighted = {}

        def weighed(output):
            if output is None:
                return None
            if id(output) not in weighted:
                weighted[id(output)] = output * self._fit(output, x_noisy, batched_number)
            return weighted[id(output)]

        return {key: [weighed(output) for output in outputs] for key, outputs in own.items()}

    def _fit(self, output: Tensor, x_noisy: Tensor, batched_number: int) -> Tensor:
        """The share map, shaped to multiply `output`: (B, C, h, w), (B, C, t, h, w) or tokens (B, h w, C)."""
        size = _grid(output, x_noisy)
        key = (output.ndim, size, batched_number, output.device, output.dtype)
        if key not in self._fitted:
            share = self._share
            if self._frames is not None and len(share) > 1:
                share = share[list(self._frames)]
            share = share[:, None].to(output.device, torch.float32)
            share = common_upscale(share, x_noisy.shape[-1], x_noisy.shape[-2], "area", "center")  # as the map is cut
            share = F.interpolate(share, size=size, mode="area")
            if output.ndim == 5:
                share = share.movedim(0, 1)[None]
                if share.shape[2] not in (1, output.shape[2]):
                    raise UserError(
                        f"The weight_mask has {share.shape[2]} frames and the control network's output "
                        f"{output.shape[2]}: give weight_mask a single frame."
                    )
            else:
                share = share.repeat(batched_number if len(share) > 1 else 1, 1, 1, 1)
                share = share if output.ndim == 4 else rearrange(share, "b c h w -> b (h w) c")
            self._fitted[key] = share.to(output.dtype)
        return self._fitted[key]


def _grid(output: Tensor, x_noisy: Tensor) -> tuple[int, int]:
    """Height and width of a control output; tokens lie row by row on the latent, in square patches."""
    if output.ndim > 3:
        return tuple(output.shape[-2:])
    height, width = x_noisy.shape[-2:]
    for patch in (1, 2, 4, 8):
        grid = -(-height // patch), -(-width // patch)
        if grid[0] * grid[1] == output.shape[1]:
            return grid
    raise UserError(
        f"The weight_mask does not fit this control network, whose output of shape {tuple(output.shape)} has no place "
        "in the frame: disconnect weight_mask."
    )


def stacked(head: ControlBase | None) -> list[StackedControl]:
    """The controls of the stack that end in `head`, oldest first."""
    controls = []
    while head is not None:
        if isinstance(head, StackedControl):
            controls.insert(0, head)
        head = head.previous_controlnet
    return controls


def extended(head: ControlBase | None, added: StackedControl) -> StackedControl:
    """`added` on top of copies of the chain `head`, with the weights of all stacked controls normalised anew.

    Controls that other nodes applied keep their strength: those below the stack are the same objects, those between
    stacked controls are copied only because they point at the one before.
    """
    chain = []
    while head is not None and stacked(head):
        chain.append(head)
        head = head.previous_controlnet
    copies = [added, *(control.copy() for control in chain)]
    for control, before in zip(copies, [*copies[1:], head]):
        control.set_previous_controlnet(before)
    members = stacked(added)
    shared = [(member.weight, member.mask) for member in members]
    for place, (member, (peak, mean)) in enumerate(zip(members, _peaks_and_means(shared))):
        member.join(shared, place, peak, mean)
    return added


def _peaks_and_means(chain: list[tuple[float, Tensor | None]]) -> list[tuple[float, float]]:
    """Highest and mean normalised weight of each control over the frames' sites."""
    weights, masks = zip(*chain)
    masked = [mask for mask in masks if mask is not None]
    if not masked:
        return [(value, value) for value in normalise_weights(dict(enumerate(weights))).values()]
    peaks, sums, frames = [0.0] * len(chain), [0.0] * len(chain), 0
    for maps in masked_weights(weights, masks, tuple(masked[0].shape[-2:])):
        peaks = [max(peak, float(plane.max())) for peak, plane in zip(peaks, maps)]
        sums = [total + float(plane.mean()) for total, plane in zip(sums, maps)]
        frames += 1
    return [(peak, total / frames) for peak, total in zip(peaks, sums)]


def apply_stack(conditionings: list[list], make: Callable[[], StackedControl]) -> list[list]:
    """New conditionings with `make()` appended to their controls.

    One object for all entries that had the same control before: ComfyUI puts conditionings into one forward only if
    they hold the identical control object.
    """
    heads, results = {}, []
    for conditioning in conditionings:
        entries = []
        for embedding, options in conditioning:
            head = options.get("control")
            if id(head) not in heads:
                heads[id(head)] = extended(head, make())
            entries.append([embedding, {**options, "control": heads[id(head)], "control_apply_to_uncond": False}])
        results.append(entries)
    return results
