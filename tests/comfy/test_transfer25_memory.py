"""Transfer2.5 on ComfyUI's layers: partly left in main memory, or resting in one byte, it answers the same."""

import json
import subprocess

import pytest
import tiny_transfer25
from comfy_server import ROOT

from client.own_server import environment

SCRIPT = """
import importlib.util, json, sys
sys.path.insert(0, sys.argv[1])
import comfy.cli_args
comfy.cli_args.args.cpu = True
import torch
from pathlib import Path
root, folder, weights = sys.argv[2], Path(sys.argv[3]), sys.argv[4]
pack = importlib.util.spec_from_file_location("pack", root + "/__init__.py", submodule_search_locations=[root])
sys.modules["pack"] = importlib.util.module_from_spec(pack)
pack.loader.exec_module(sys.modules["pack"])
from pack.nodes.host.folder.casts import load_castable
from pack.nodes.host.folder.branch import load_control
from pack.nodes.host.folder.model import load_model
from pack.nodes.host.controls.terms import ControlTerms
from pack.nodes.host.folder.text import load_clip
from pack.pipeline_core.models.folders.loading import load_part

def answers(model, branch, clip, x, hint):
    text, _ = clip.cond_stage_model.encode_token_weights(clip.tokenizer.tokenize_with_weights("a street"))
    control = {"input": [ControlTerms(((branch.model.network, hint, 1.0),))]}
    kind = model.model.diffusion_model.dtype
    seen = model.model.diffusion_model(x.to(kind), torch.tensor([0.4]), text.to(kind), control)
    return seen.float(), text

torch.manual_seed(0)
x, hint = torch.randn(2, 1, 16, 2, 4, 6)
def load():
    made = load_model(folder, "fp32", weights), load_clip(folder, "fp32", weights)
    return made[0], load_control(folder, "edge", weights).branch, made[1]
found = {"types": sorted({str(p.dtype) for p in load_castable(folder, "transformer", weights).parameters()})}
model, branch, clip = load()
wanted = answers(model, branch, clip, x, hint)
total, shares, left = 0, [], 0
for patcher in (model, branch, clip.patcher):
    size = patcher.model_size()
    patcher.load(torch.device("cpu"), lowvram_model_memory=size // 2)
    shares.append(patcher.model.model_loaded_weight_memory / size)
    left += sum(hasattr(module, "prev_comfy_cast_weights") for module in patcher.model.modules())
again = answers(model, branch, clip, x, hint)
found |= {"equal": all(torch.equal(a, b) for a, b in zip(wanted, again)), "left": left, "shares": shares}
if weights == "fp8":
    plain = [load_part(folder, part, torch.bfloat16) for part in ("transformer", "controlnet_edge", "text_encoder")]
    for network, held in zip(plain, (model.model.diffusion_model.transformer, branch.model.network,
                                     clip.cond_stage_model.text_encoder)):
        own = dict(held.named_parameters())
        for name, parameter in network.named_parameters():
            parameter.data = own[name].to(torch.bfloat16)
    model.model.diffusion_model.transformer, branch.model.network, clip.cond_stage_model.text_encoder = plain
    same = answers(model, branch, clip, x, hint)
    found["rounded"] = all(torch.equal(a, b) for a, b in zip(wanted, same))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_transfer25.save(*tiny_transfer25.tiny_parts(), tmp_path_factory.mktemp("models") / "transfer25")


@pytest.mark.parametrize("weights", ["bf16", "fp8"])
def test_networks_partly_in_main_memory_and_in_one_byte_answer_the_same(comfyui, folder, weights):
    comfy, python = comfyui
    command = [python, "-c", SCRIPT, *map(str, (comfy, ROOT, folder, weights))]
    done = subprocess.run(command, cwd=comfy, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert found["types"] == (["torch.bfloat16"] if weights == "bf16" else ["torch.bfloat16", "torch.float8_e4m3fn"])
    assert found["equal"] and found["left"] > 30 and max(found["shares"]) < 0.8, found
    assert weights != "fp8" or found["rounded"]
