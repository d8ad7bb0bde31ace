"""A Cosmos-Transfer1 control as ComfyUI's CONTROL_NET: it joins the base network's own blocks while the base runs."""

from __future__ import annotations

import comfy.latent_formats
import comfy.model_management
import torch
from comfy.ldm.cosmos.model import GeneralDIT
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ....pipeline_core.conditions.stack import normalise_weights
from ....pipeline_core.errors import UserError
from ....pipeline_core.models.released.transfer1 import PATCH, SPACE_RATIO, TIME_RATIO, token_weights
from .map_control import MapControl
from .terms import terms_of

KEY = "video_realism_transfer1"
NOT_COSMOS = (
    "A Cosmos-Transfer1 control came with a MODEL of another kind; connect the converted Cosmos-Transfer1 base model "
    "from Load Diffusion Model."
)


class Transfer1Control(MapControl):
    """One control branch, its map and its strength.

    The strengths of all Transfer1 controls in a chain are normalised at every token as in the release, w divided by
    max(1, sum of w).
    """

    temporal_ratio, spatial_ratio = TIME_RATIO, SPACE_RATIO

    def __init__(self, modality: str, branch: ModelPatcher):
        super().__init__(modality, branch)
        self.latent_format = comfy.latent_formats.Cosmos1CV8x8x8()  # ComfyUI's mark of a control that needs a VAE

    def copy(self) -> Transfer1Control:
        return self.copied_to(Transfer1Control(self.modality, self.branch))

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

    def _term(self, hint: Tensor, weight: float | Tensor, transformer_options: dict) -> tuple:
        install(transformer_options)
        return self.branch.model, hint, weight

    def _latent(self, frames: Tensor) -> Tensor:
        """With the release's x 0.5."""
        hint = self.latent_format.process_in(self.vae.encode(frames))
        count, height, width = frames.shape[:3]
        cells = 1 + (count - 1) // TIME_RATIO, height // SPACE_RATIO, width // SPACE_RATIO
        wanted = (1, self.latent_format.latent_channels, *cells)
        if tuple(hint.shape) != wanted:
            raise UserError(
                f"The vae made a latent of shape {tuple(hint.shape)} of the {self.modality} map, but {wanted} is "
                "needed; connect the Cosmos VAE (CV8x8x8) to the vae input."
            )
        return hint

    def _token_weights(self, mask: Tensor, latent_size: tuple[int, int, int]) -> Tensor:
        return token_weights(mask.cpu(), latent_size)


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
