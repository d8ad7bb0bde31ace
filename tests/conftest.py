"""Tiny random model folders in the real layouts, built once: the real classes, a few thousand weights."""

import pytest
import torch

from pipeline_core.models.folders.preset import Preset
from training.architecture import build_networks
from training.captions_tokenizer import train_tokenizer
from training.export import write_networks

TINY = {
    "transformer": {
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "num_layers": 3,
        "mlp_ratio": 2.0,
        "text_embed_dim": 16,
        "adaln_lora_dim": 8,
        "max_size": (8, 16, 16),
        "patch_size": (1, 2, 2),
        "rope_scale": (1.0, 1.0, 1.0),
        "concat_padding_mask": True,
        "extra_pos_embed_type": None,
        "controlnet_block_every_n": 1,
    },
    "control": {"n_controlnet_blocks": 3, "mlp_ratio": 1.0, "adaln_lora_dim": 4},
    "text": {
        "d_model": 16,
        "d_kv": 8,
        "num_heads": 2,
        "d_ff": 16,
        "num_layers": 1,
        "dropout_rate": 0.0,
        "pad_token_id": 0,
        "eos_token_id": 1,
    },
}
CHANNELS = 4
CITYSCAPES = (
    "road",
    "sidewalk",
    "building",
    "wall",
    "fence",
    "pole",
    "traffic light",
    "traffic sign",
    "vegetation",
    "terrain",
    "sky",
    "person",
    "rider",
    "car",
    "truck",
    "bus",
    "train",
    "motorcycle",
    "bicycle",
)


@torch.no_grad()
def shake(networks, seed=5):
    """Make every weight count: a fresh model's zero heads would let any error pass."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in networks.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return networks


def build_tiny(seed=0, vocab_size=300):
    return shake(build_networks(CHANNELS, vocab_size, seed, TINY)).eval()


@pytest.fixture(scope="session", autouse=True)
def on_the_cpu():
    """Networks whose device no test names run on the CPU, also beside a GPU: the CPU is what results are held to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline_core.devices.best_device", lambda: torch.device("cpu"))
        yield


@pytest.fixture
def without_own_networks(tmp_path, monkeypatch):
    """As in a checkout without models/perception."""
    monkeypatch.setattr("pipeline_core.perception.own.OWN", tmp_path / "perception")


@pytest.fixture(scope="session")
def tiny_networks():
    return build_tiny().requires_grad_(False)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    from diffusers import AutoencoderKLWan

    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    vae = AutoencoderKLWan(
        base_dim=3,
        z_dim=CHANNELS,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        latents_mean=[0.1, -0.2, 0.3, 0.0],
        latents_std=[0.5, 0.6, 0.7, 0.8],
    )
    vae.save_pretrained(folder / "vae")
    tokenizer = train_tokenizer(["a photoreal video of a street at night", "a synthetic street"] * 4, 300)
    tokenizer.save_pretrained(folder / "tokenizer")
    write_networks(build_tiny(), folder, torch.float32)
    from pipeline_core.models.folders.preset_file import write_preset

    write_preset(Preset(window=5, overlap=1, size=(32, 48), max_text_tokens=8), folder)
    return folder


@pytest.fixture(scope="session")
def edit_model_folder(model_folder):
    """The tiny model as one that edits by instruction: its own transformer, the other's VAE and tokenizer."""
    from training.edits.learning import write
    from training.edits.network import edit_networks

    folder = model_folder.with_name(f"{model_folder.name}_edit")
    write(shake(edit_networks(build_tiny())), folder, model_folder)
    return folder


@pytest.fixture(scope="session")
def depth_folder(tmp_path_factory):
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    torch.manual_seed(0)
    backbone = Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=16,
        patch_size=14,
        neck_hidden_sizes=[4, 4, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=4,
    )
    folder = tmp_path_factory.mktemp("depth")
    DepthAnythingForDepthEstimation(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def segmentation_folder(tmp_path_factory):
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    torch.manual_seed(0)
    config = SegformerConfig(
        hidden_sizes=[4, 4, 8, 8],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=8,
        id2label=dict(enumerate(CITYSCAPES)),
    )
    folder = tmp_path_factory.mktemp("segmentation")
    SegformerForSemanticSegmentation(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25], "size": {"height": 64, "width": 64}}'
    )
    return folder
