"""A LoRA that one condition alone is answered with: by ComfyUI's own hooks, so that nothing else of a run has it on."""

import comfy.hooks
import comfy.lora
import comfy.lora_convert
import comfy.utils

from ...pipeline_core.errors import UserError
from ...pipeline_core.models.folders.loading import SIMDROP_REFERENCE
from ...pipeline_core.models.folders.lora import NAME, comfyui_name
from .folder.folders import EMBEDDED_NAME
from .paths import LORAS, native_file, native_files

SHIPPED = "simdrop_reference (embedded)"


def lora_names() -> list[str]:
    """The pack's own LoRA, then those in ComfyUI's models/loras."""
    return [SHIPPED, *native_files(LORAS)]


def with_lora(model, conditioning: list, name: str) -> list:
    """The conditioning with a LoRA of `lora_names` hooked to it, on the network alone.

    UserError where nothing of it fits the model.
    """
    if name == SHIPPED:
        if getattr(getattr(model.model, "preset", None), "name", None) != EMBEDDED_NAME:
            raise UserError(
                f"reference_lora is {name}, but the model is another one: choose a LoRA that was trained for it, or "
                "the embedded model in Load Video Model."
            )
        path = SIMDROP_REFERENCE / NAME
    else:
        path = native_file(LORAS, name)
    lora = comfy.utils.load_torch_file(str(path), safe_load=True)
    if name == SHIPPED:
        lora = {comfyui_name(tensor, wan=False): value for tensor, value in lora.items()}
    lora = comfy.lora_convert.convert_lora(lora)
    if not comfy.lora.load_lora(lora, comfy.lora.model_lora_keys_unet(model.model, {}), log_missing=False):
        raise UserError(f"reference_lora is {name}, and nothing of it fits this model: choose one trained for it.")
    hooks = comfy.hooks.create_hook_lora(lora, strength_model=1.0, strength_clip=0.0)
    return comfy.hooks.set_hooks_for_conditioning(conditioning, hooks)
