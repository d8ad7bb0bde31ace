"""A Cosmos-Transfer1 control as ComfyUI's CONTROL_NET: it joins the base network's own blocks while the base runs."""

from __future__ import annotations

import comfy.controlnet
import comfy.latent_formats
import comfy.model_management
import comfy.utils
import torch
from comfy.ldm.cosmos.model import GeneralDIT
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ...pipeline_core.conditions.stack import normalise_weights
from ...pipeline_core.errors import UserError
from ...pipeline_core.models.transfer1 import PATCH, SPACE_RATIO, TIME_RATIO, token_weights
from .terms import ControlTerms, terms_of

KEY = "video_realism_transfer1"
NOT_COSMOS = (
    "A Cosmos-Transfer1 control came with a MODEL of another kind; connect the converted Cosmos-Transfer1 base model "
    "from Load Diffusion Model."
)


class Transfer1Control(comfy.controlnet.ControlBase):
    """One control branch, its map and its strength.

    The strengths of all Transfer1 controls in a chain are normalised at every token as in the release, w divided by
    max(1, sum of w). `set_weight_mask` makes a strength local.
    """

    def __init__(self, modality: str, branch):
        super().__init__()
        self.modality, self.branch = modality, branch
        self.latent_format = comfy.latent_formats.Cosmos1CV8x8x8()
        # Class colours must not mix; other maps shrink to the mean of their pixels.
        self.upscale_algorithm = "nearest-exact" if modality == "segmentation" else "area"
        self.weight_mask: Tensor | None = None
        self._weight: float | Tensor = 1.0  # the mask on the tokens of the whole clip, as long as cond_hint is there

    def set_weight_mask(self, mask: Tensor | None) -> Transfer1Control:
        """Multiply the strength by `mask` (T, H, W): pixels of the map's frames, or 1 frame for all of them."""
        if mask is not None and mask.ndim != 3:
            raise UserError(f"A weight mask of shape {tuple(mask.shape)} came; give (frames, height, width).")
        self.weight_mask, self.cond_hint = mask, None
        return self

    def copy(self) -> Transfer1Control:
        made = Transfer1Control(self.modality, self.branch)
        self.copy_to(made)
        made.weight_mask = self.weight_mask
        return made

    def get_models(self) -> list:
        return [*super().get_models(), self.branch]

    def inference_memory_requirements(self, dtype) -> int:
        # The branch's state and position code, for two prompts; the rest is as large as in the base's own blocks.
        frames, _, height, width = self.cond_hint_original.shape
        cells = PATCH * SPACE_RATIO
        tokens = (1 + frames // TIME_RATIO) * (height // cells) * (width // cells)
        own = 4 * tokens * self.branch.model.size.width * comfy.model_management.dtype_size(dtype)
        return own + super().inference_memory_requirements(dtype)

    def pre_run(self, model, percent_to_timestep_function) -> None:
        super().pre_run(model, percent_to_timestep_function)
        network = model.diffusion_model
        if not isinstance(network, GeneralDIT):
            raise UserError(NOT_COSMOS)
        size = self.branch.model.size
        ours = size.width, size.latent, size.text
        attention = network.blocks["block0"].blocks[1].block.attn
        theirs = network.model_channels, network.x_embedder.proj[1].in_features // PATCH**2 - 1
        theirs = *theirs, attention.to_k[0].in_features
        if ours != theirs or len(network.blocks) < size.blocks:
            raise UserError(
                f"The {self.modality} control is for a Cosmos base of width {ours[0]} with {ours[1]} inputs and "
                f"texts of {ours[2]}, and this MODEL has {theirs[0]}, {theirs[1]} and {theirs[2]}; load the base model "
                "that was released with it."
            )
        if self.vae is None:
            raise UserError(
                f"The {self.modality} control encodes its map: connect the Cosmos VAE (CV8x8x8) to the vae input where "
                "the control is applied."
            )

    def get_control(self, x_noisy, t, cond, batched_number, transformer_options):
        before = None
        if self.previous_controlnet is not None:
            before = self.previous_controlnet.get_control(x_noisy, t, cond, batched_number, transformer_options)
        high, low = self.timestep_range or (t[0], t[0])
        if t[0] > high or t[0] < low or self.strength == 0:
            return before
        window = transformer_options.get("context_window")
        window = window if getattr(window, "dim", None) == 2 else None  # 2: time, the one a clip is windowed in
        if self.cond_hint is None or self.cond_hint.shape[-2:] != x_noisy.shape[-2:]:
            self.cond_hint = self._encode(x_noisy, window).to(x_noisy.device)
            mask = self.weight_mask
            self._weight = 1.0 if mask is None else token_weights(mask.cpu(), self.cond_hint.shape[2:])
        hint, weight = self.cond_hint, self._weight
        if window is not None:
            if max(window.index_list) >= hint.shape[2]:
                self._refuse_length(max(window.index_list) + 1)
            hint = window.get_tensor(hint, dim=2)
            weight = window.get_tensor(weight[None, None], dim=2)[0, 0] if torch.is_tensor(weight) else weight
        if hint.shape[2] != x_noisy.shape[2]:
            self._refuse_length(x_noisy.shape[2])
        install(transformer_options)
        own = ControlTerms(((self.branch.model, hint, weight),))
        return self.control_merge({"input": [own], "middle": [], "output": []}, before, output_dtype=None)

    def _encode(self, x_noisy: Tensor, window) -> Tensor:
        """Hint latent (1, C, t, h, w) of the whole map, stretched to the latent's size, with the release's x 0.5."""
        frames = self.cond_hint_original
        latent_frames = x_noisy.shape[2] if window is None else getattr(window, "total_frames", 0)
        needed = 1 + (latent_frames - 1) * TIME_RATIO
        if latent_frames and len(frames) == 1:
            frames = frames.expand(needed, -1, -1, -1)  # a single frame stands for all, as with native ControlNets
        elif latent_frames and len(frames) != needed:
            self._refuse_length(latent_frames)
        width, height = (size * SPACE_RATIO for size in (x_noisy.shape[-1], x_noisy.shape[-2]))
        if tuple(frames.shape[-2:]) != (height, width):
            frames = comfy.utils.common_upscale(frames, width, height, self.upscale_algorithm, "disabled")
        # Loading the VAE may push out the models that are sampling.
        loaded = comfy.model_management.loaded_models(only_currently_used=True)
        hint = self.latent_format.process_in(self.vae.encode(frames.movedim(1, -1)))
        comfy.model_management.load_models_gpu(loaded)
        wanted = x_noisy.shape[1], 1 + (len(frames) - 1) // TIME_RATIO, *x_noisy.shape[-2:]
        if tuple(hint.shape[1:]) != wanted:
            raise UserError(
                f"The vae made a latent of shape {tuple(hint.shape)} of the {self.modality} map, but {(1, *wanted)} is "
                "needed; connect the Cosmos VAE (CV8x8x8) to the vae input."
            )
        return hint

    def _refuse_length(self, latent_frames: int) -> None:
        needed = 1 + (latent_frames - 1) * TIME_RATIO
        raise UserError(
            f"The {self.modality} map has {len(self.cond_hint_original)} frames and the latent stands for {needed}; "
            "give the control's image as many frames as the clip."
        )


def install(transformer_options: dict) -> None:
    """Let this one call of the network run `controlled`; the MODEL's own tables stay as they are."""
    wrappers = {kind: dict(keyed) for kind, keyed in transformer_options.get("wrappers", {}).items()}
    wrappers.setdefault(WrappersMP.DIFFUSION_MODEL, {})[KEY] = [controlled]
    transformer_options["wrappers"] = wrappers


def controlled(executor, x, timesteps, context, attention_mask=None, fps=None, *args, **kwargs):
    """The base's forward with x <- block_i(x) + sum_m w_m zero_i(x_m) for the blocks the branches have."""
    options, terms = kwargs.get("transformer_options", {}), terms_of(kwargs.get("control"))
    weights = normalise_weights({str(place): weight for place, (_, _, weight) in enumerate(terms)}).values()
    weights = [w[..., None, None].to(x) if torch.is_tensor(w) else w for w in weights]
    counts = [len(branch.blocks) for branch, _, _ in terms]
    running = [branch.hints(x, timesteps, context, hint.to(x), fps, options) for branch, hint, _ in terms]

    def joining(place: int):
        def join(module, inputs, output):
            for hints, weight, count in zip(running, weights, counts):
                if place < count:
                    output = output + next(hints) * weight
            return output

        return join

    blocks = zip(range(max(counts)), executor.class_obj.blocks.values())
    hooks = [block.register_forward_hook(joining(place)) for place, block in blocks]
    try:
        return executor(x, timesteps, context, attention_mask, fps, *args, **kwargs)
    finally:
        for hook in hooks:
            hook.remove()
