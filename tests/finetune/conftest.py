"""LoRAs of the tiny model."""

import pytest

from pipeline_core.models.folders.loading import load_part
from pipeline_core.models.folders.lora import add_lora, lora_tensors, save_lora


@pytest.fixture(scope="module")
def loras(tmp_path_factory, model_folder):
    """{"zero", "strong": folder} of LoRAs of the tiny model, the first of which changes nothing."""
    pytest.importorskip("peft", reason="peft is not installed: no LoRA can be read")
    network = load_part(model_folder, "transformer")
    add_lora(network, 1, 0)
    tensors, folders = lora_tensors(network), {}
    for name, added in (("zero", 0.0), ("strong", 0.3)):
        folders[name] = tmp_path_factory.mktemp(name)
        save_lora({key: tensor + added for key, tensor in tensors.items()}, 1, folders[name], wan=False)
    return folders
