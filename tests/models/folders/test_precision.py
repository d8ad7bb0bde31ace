"""bfloat16 where it can be had: asked for, chosen, refused, and given up with a sentence."""

import os
import subprocess
import sys

import pytest
import torch

from pipeline_core.errors import UserError
from pipeline_core.models import has_bf16, load_video_model
from pipeline_core.models.folders import precision as room
from pipeline_core.models.folders.precision import bf16_failure, choose_precision

CPU = torch.device("cpu")
RIGHT = bf16_failure(CPU) == ""
REASON = "pack_vnni2 is only supported when avx512 is supported"


@pytest.fixture
def broken(monkeypatch):
    """Hardware with bfloat16 and a torch whose attention cannot do it, as on AVX-512 under ATEN_CPU_CAPABILITY=avx2."""

    def attention(*operands):
        if operands[0].dtype == torch.bfloat16:
            raise RuntimeError(f"{REASON}\nException raised from ...")
        return torch.nn.functional.scaled_dot_product_attention(*operands)

    monkeypatch.setattr(room, "has_bf16", lambda device: True)
    monkeypatch.setattr(room, "scaled_dot_product_attention", attention)


def test_precision_is_what_was_asked(model_folder):
    assert not load_video_model(model_folder, precision="fp32").bf16
    assert load_video_model(model_folder).bf16 == (RIGHT and has_bf16(CPU))
    if RIGHT:
        asked = load_video_model(model_folder, precision="bf16")
        assert asked.bf16 and asked.notes == ()
    with pytest.raises(UserError, match="precision is 'half'; give auto, bf16 or fp32"):
        choose_precision("half", CPU)


def test_where_torch_cannot_do_it_auto_falls_back_and_says_so(broken, model_folder):
    model = load_video_model(model_folder)
    assert not model.bf16
    assert model.notes == (f"The networks run in 32-bit floats: torch does not carry out bfloat16 on cpu ({REASON}).",)
    assert load_video_model(model_folder, precision="fp32").notes == ()


@pytest.mark.parametrize("asked", [{"precision": "bf16"}, {"weights": "bf16"}, {"weights": "fp8"}])
def test_what_was_asked_for_and_cannot_be_had_is_refused(broken, model_folder, asked):
    with pytest.raises(UserError, match="bfloat16|bf16") as refused:
        load_video_model(model_folder, **asked)
    assert REASON in str(refused.value) and "choose" in str(refused.value) and "\n" not in str(refused.value)


def test_an_answer_that_is_wrong_counts_as_a_failure(monkeypatch):
    monkeypatch.setattr(room, "scaled_dot_product_attention", lambda q, k, v: v + (v.dtype == torch.bfloat16))
    assert bf16_failure(CPU) == "attention comes out wrong"


FORWARD = """
import torch
from pipeline_core.diffusion import VE
from pipeline_core.models import load_video_model

model = load_video_model()
predict = model.predictor({"positive": model.encode_text(["a street"])}, {}, {}, VE)
answer, = predict(torch.zeros(1, 48, 1, 6, 10), 1.0, ["positive"])
print(bool(answer.isfinite().all()), torch.backends.cpu.get_cpu_capability())
"""


def test_the_embedded_model_runs_in_a_torch_held_to_fewer_instructions():
    """On a CPU with AVX-512 BF16 its text encoder stopped in the attention."""
    env = {**os.environ, "ATEN_CPU_CAPABILITY": "default"}
    done = subprocess.run([sys.executable, "-c", FORWARD], env=env, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "DEFAULT"], done.stderr[-500:]
