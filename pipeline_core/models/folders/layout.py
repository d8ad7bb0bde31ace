"""What a model folder in diffusers' layout holds: its parts, their classes and the headers of their weights.

Only JSON and safetensors headers are read here, so that a wrong file is refused before anything is loaded from it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from ...doors import read_json
from ...doors.tensors import Stored, read_header
from ...errors import UserError
from ..networks.cosmos import source_channels

BRANCH_PREFIX = "controlnet_"
LONE_BRANCH = "controlnet"  # of a pipeline that diffusers saved with its one branch
TRANSFER, OMNI = "CosmosTransformer3DModel", "Cosmos3OmniTransformer"
# The classes a part may have; None is any video autoencoder.
CLASSES = {
    "transformer": (TRANSFER, OMNI),
    "controlnet": ("CosmosControlNetModel",),
    "text_encoder": ("T5EncoderModel", "Qwen2_5_VLForConditionalGeneration"),
    "vae": None,
}
# Those whose transformer can be fine-tuned: Wan's are ComfyUI's to run.
TRAINABLE = {
    "transformer": ("CosmosTransformer3DModel", "WanTransformer3DModel"),
    "text_encoder": (*CLASSES["text_encoder"], "UMT5EncoderModel"),
    "vae": None,
}
# Heads of Cosmos 3 for words, sound and actions: nothing here reads them, and files may be with or without them.
UNREAD = ("lm_head.", "audio_", "action_")
# How the released branches call what is called otherwise here.
RELEASED_NAMES = {"seg": "segmentation", "blur": "vis"}
RESTORE = "restore the model folder"
SHARES = "_shares"  # in a model_index.json: the folder beside it whose parts stand for those it does not hold itself
_SAMPLES, _BYTES = 64, 4096  # places and bytes at each that `sample_hash` reads


def read_index(folder: str | Path) -> Mapping[str, list[str]]:
    """{part: [library, class]} of the parts that are there: model_index.json, and control branches put beside it."""
    folder = Path(folder)
    path = folder / "model_index.json"
    if not folder.is_dir():
        raise UserError(f"The model folder {folder} does not exist; give a folder in diffusers' layout.")
    if not path.is_file():
        raise UserError(f"{folder} has no model_index.json; give the folder that holds transformer/, vae/ and so on.")
    index = {name: part for name, part in read_json(path, RESTORE).items() if not name.startswith("_") and _named(part)}
    for config in sorted(folder.glob(f"{LONE_BRANCH}*/config.json")):
        # The released branches come one by one and are in nobody's index.
        if is_branch(config.parent.name):
            index.setdefault(config.parent.name, ["diffusers", str(read_json(config, RESTORE).get("_class_name"))])
    return index


def is_model_folder(folder: str | Path) -> bool:
    """Whether a folder's model_index.json names a Cosmos-Transfer transformer; nothing else is read or raised."""
    return _transformer(folder) == TRANSFER


def is_omni_folder(folder: str | Path) -> bool:
    """Whether a folder's model_index.json names a Cosmos 3 transformer, which reads text and control maps itself."""
    return _transformer(folder) == OMNI


def is_edit_folder(folder: str | Path) -> bool:
    """Whether a folder's transformer reads the latent of a clip to edit; only JSON is read, and nothing raised."""
    try:
        config = read_json(Path(folder) / "transformer" / "config.json", RESTORE)
        return is_model_folder(folder) and source_channels(config) > 0
    except (UserError, OSError, KeyError, TypeError):
        return False


def _transformer(folder: str | Path) -> str:
    """The class of a folder's transformer, "" where that cannot be read."""
    try:
        return read_index(folder).get("transformer", [""])[-1]
    except (UserError, OSError):
        return ""


def network_parts(folder: str | Path) -> list[str]:
    """The parts that are loaded as networks: the transformer, its text encoder where it has one, VAE, branches."""
    text = [] if is_omni_folder(folder) else ["text_encoder"]
    return ["transformer", *text, "vae", *branch_parts(folder).values()]


def is_branch(part: str) -> bool:
    """Whether a part's name is that of a control branch."""
    return part == LONE_BRANCH or part.startswith(BRANCH_PREFIX)


def branch_parts(folder: str | Path) -> dict[str, str]:
    """Modality -> part (subfolder) of the control branches, sorted; a pipeline's lone branch is called control."""
    parts = {}
    for part in sorted(filter(is_branch, read_index(folder))):
        name = part.removeprefix(BRANCH_PREFIX) if part != LONE_BRANCH else "control"
        parts.setdefault(RELEASED_NAMES.get(name, name), part)
    return dict(sorted(parts.items()))


def shared_folder(folder: str | Path) -> Path | None:
    """The folder beside a model folder whose parts stand for those that it does not hold itself; None for none.

    UserError where it names something else than a folder beside it that is there.
    """
    folder = Path(folder)
    index = folder / "model_index.json"
    name = read_json(index, RESTORE).get(SHARES) if index.is_file() else None
    if name is None:
        return None
    plain = isinstance(name, str) and re.fullmatch(r"\w[\w.-]*", name)
    if not plain or not (folder.parent / name).is_dir():
        raise UserError(f"{folder} shares parts of the model folder {name!r} beside it: put that there, too.")
    return folder.parent / name


def part_place(folder: str | Path, name: str) -> Path:
    """Where a part of a model folder is or would be: in it, or in the folder that it shares parts with."""
    path = Path(folder) / name
    shared = None if path.exists() else shared_folder(folder)
    return path if shared is None else shared / name


def part_folder(folder: str | Path, name: str) -> Path:
    """The folder of a part that model_index.json names. UserError when it is not there."""
    path = part_place(folder, name)
    if name not in read_index(folder) or not (path / "config.json").is_file():
        raise UserError(f"{folder} has no {name}/ with a config.json; restore that part of the model folder.")
    return path


def read_headers(part: Path) -> dict[str, Stored]:
    """Every tensor in a part's .safetensors files, by name. UserError for a file that is none, or that was cut off."""
    files = sorted(part.glob("*.safetensors"))
    if not files:
        raise UserError(f"{part} has no .safetensors file; convert the weights to safetensors first.")
    tensors: dict[str, Stored] = {}
    for path in files:
        tensors |= read_header(path)
    return tensors


def check_kind(path: Path, tensors: Mapping[str, Stored], needed: str) -> None:
    """UserError for weights that are of another kind than a part `needed`, told by their names."""
    names = list(tensors)
    if any("lora_" in name or ".lora." in name or "lora_A" in name for name in names):
        raise UserError(f"{path} holds a LoRA; a whole {needed} is needed there.")
    coders = sum(name.startswith(("encoder.", "decoder.", "quant_conv", "post_quant_conv")) for name in names)
    if needed in CLASSES["transformer"] + CLASSES["controlnet"] and coders == len(names):
        raise UserError(f"{path} holds a video autoencoder; a {needed} is needed there.")


def check_layers(part: Path, tensors: int) -> None:
    """UserError where a config.json states more layers than its files have tensors, or sizes that no network has.

    A library would build the layers, one by one, before it finds that their weights are missing.
    """
    path = part / "config.json"
    for name, value in read_json(path, RESTORE).items():
        if type(value) is int and abs(value) > (tensors if "layers" in name or "blocks" in name else 2**31):
            raise UserError(f"{path} says {name} {value}, which its weights do not have: {RESTORE}.")


def sample_hash(path: Path) -> str:
    """SHA-256 of a file's size and of pieces spread over it, of the whole of a small one: it tells two files of weights
    apart without reading gigabytes."""
    digest, size = hashlib.sha256(), path.stat().st_size
    digest.update(f"{size} ".encode())
    with path.open("rb") as file:
        if size <= _SAMPLES * _BYTES:
            digest.update(file.read())
        else:
            for index in range(_SAMPLES):
                file.seek(index * (size - _BYTES) // (_SAMPLES - 1))
                digest.update(file.read(_BYTES))
    return digest.hexdigest()


def _named(part: object) -> bool:
    return isinstance(part, list) and len(part) == 2 and all(isinstance(word, str) for word in part)
