"""Where nodes and model files come from, as a graph's JSON says it: Manager finds a missing pack by it, the frontend
offers a missing file for download."""

from __future__ import annotations

import re
from pathlib import Path

PYPROJECT = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
OURS, VERSION, CORE = (
    re.search(pattern, PYPROJECT, re.MULTILINE).group(1)
    for pattern in (r'^name = "(.+)"', r'^version = "(.+)"', r'^requires-comfyui = ">=(.+)"')
)
HOST = "https://huggingface.co/"
WAN = "Comfy-Org/Wan_2.1_ComfyUI_repackaged/resolve/main/split_files/"
WAN22 = "Comfy-Org/Wan_2.2_ComfyUI_Repackaged/resolve/main/split_files/"
COSMOS = "comfyanonymous/cosmos_1.0_text_encoder_and_VAE_ComfyUI/resolve/main/"
CONTROLNETS = "comfyanonymous/ControlNet-v1-1_fp16_safetensors/resolve/main/"
LORA = "Lightricks/LTX-Video-ICLoRA-canny-13b-0.9.7/resolve/main/"
# File -> (folder below models, address). NVIDIA's own files are behind a licence and have to be converted: no address.
MODELS = {
    "wan2.1_vace_1.3B_fp16.safetensors": ("diffusion_models", WAN + "diffusion_models/"),
    "umt5_xxl_fp8_e4m3fn_scaled.safetensors": ("text_encoders", WAN + "text_encoders/"),
    "wan_2.1_vae.safetensors": ("vae", WAN + "vae/"),
    "wan2.2_fun_control_high_noise_14B_fp8_scaled.safetensors": ("diffusion_models", WAN22 + "diffusion_models/"),
    "wan2.2_fun_control_low_noise_14B_fp8_scaled.safetensors": ("diffusion_models", WAN22 + "diffusion_models/"),
    "ltxv-13b-0.9.7-dev-fp8.safetensors": ("checkpoints", "Lightricks/LTX-Video/resolve/main/"),
    "ltxv-097-ic-lora-canny-control-comfyui.safetensors": ("loras", LORA),
    "t5xxl_fp8_e4m3fn_scaled.safetensors": ("text_encoders", "comfyanonymous/flux_text_encoders/resolve/main/"),
    "v1-5-pruned-emaonly-fp16.safetensors": (
        "checkpoints",
        "Comfy-Org/stable-diffusion-v1-5-archive/resolve/main/",
    ),
    "control_v11p_sd15_canny_fp16.safetensors": ("controlnet", CONTROLNETS),
    "control_v11f1p_sd15_depth_fp16.safetensors": ("controlnet", CONTROLNETS),
    "oldt5_xxl_fp8_e4m3fn_scaled.safetensors": ("text_encoders", COSMOS + "text_encoders/"),
    "cosmos_cv8x8x8_1.0.safetensors": ("vae", COSMOS + "vae/"),
}


def properties(kind: str, values: list) -> dict:
    """What a node's `properties` say: its kind, its pack and the pack's version, the model files it names."""
    ours = kind.startswith("VideoRealism")
    held = {"Node name for S&R": kind, "cnr_id": OURS if ours else "comfy-core", "ver": VERSION if ours else CORE}
    if files := [name for name in values if isinstance(name, str) and name in MODELS]:
        held["models"] = [
            {"name": name, "url": f"{HOST}{MODELS[name][1]}{name}", "directory": MODELS[name][0]} for name in files
        ]
    return held
