"""The memory plan of fine-tuning against what torch's allocator really gave out in a step there and back."""

from dataclasses import replace

import pytest
import torch
from small_networks import profiled_peaks
from tiny_wan import save_wan

from pipeline_core.errors import UserError
from pipeline_core.finetune.networks import answer, training_preset
from pipeline_core.models.folders.layout import TRAINABLE
from pipeline_core.models.folders.loading import load_part
from pipeline_core.models.folders.lora import add_lora
from pipeline_core.models.folders.memory import GIB
from pipeline_core.models.folders.preset import Preset
from pipeline_core.models.folders.training_memory import plan_training

PRESET = Preset(window=9, size=(96, 96), max_text_tokens=8)  # 3 x 6 x 6 tokens


@pytest.fixture(scope="module")
def wan(tmp_path_factory, model_folder):
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(model_folder / "tokenizer")
    shape = dict(attention_head_dim=48, num_layers=3, ffn_dim=384)
    return save_wan(tmp_path_factory.mktemp("wan"), tokenizer, **shape)


def test_a_step_takes_what_the_plan_says(wan):
    pytest.importorskip("peft", reason="peft is not installed: no LoRA can be trained")
    network = load_part(wan, "transformer", classes=TRAINABLE)
    weights = add_lora(network, 2, 0)
    network.enable_gradient_checkpointing()
    generator = torch.Generator().manual_seed(0)
    x, text = torch.randn(1, 16, 3, 12, 12, generator=generator), torch.randn(1, 8, 16, generator=generator)

    def step():
        with torch.enable_grad():
            answer(network, x, torch.tensor([0.5]), text).square().mean().backward()

    plan = plan_training(wan, PRESET, 2)
    assert plan.trained == sum(weight.numel() for weight in weights.values())
    assert 1 <= plan.step / profiled_peaks(step)[1] < 2


def test_the_plan_says_what_fits(wan):
    long = Preset(window=81, size=(256, 256))
    whole = plan_training(wan, long, 2)
    assert whole.fits and whole.free is None and whole.sentence().startswith("memory plan: training")
    shorter = plan_training(wan, replace(long, window=61), 2)
    tight = plan_training(wan, long, 2, free=max(shorter.stages.values()))
    assert not tight.fits and tight.fitting == 61
    assert tight.sentence().endswith("give --frames 61 or --weights bf16.")
    assert "give a smaller --size" in plan_training(wan, long, 2, free=10_000).sentence()
    assert plan_training(wan, long, 2, "bf16").stages["steps"] < 0.7 * whole.stages["steps"]
    with pytest.raises(UserError, match="weights is 'fp8'"):
        plan_training(wan, PRESET, 2, "fp8")


def test_wan_folders_have_their_family_s_preset(wan, tmp_path, model_folder):
    preset = training_preset(wan)
    assert (preset.window, preset.size, preset.prediction, preset.spatial_ratio) == (81, (480, 832), "flow", 8)
    assert plan_training(wan, preset, 16, free=GIB).fitting > 0
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(model_folder / "tokenizer")
    with pytest.raises(UserError, match="reads 36 channels and its VAE gives 16: give a text-to-video Wan"):
        training_preset(save_wan(tmp_path, tokenizer, in_channels=36))
