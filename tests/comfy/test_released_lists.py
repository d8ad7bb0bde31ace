"""Every release that ComfyUI loads, by its full list of tensors and without their values: nothing missing, nothing left
over, and this pack's table knows whose it is."""

import pytest

from pipeline_core.models.released.tensor_lists import read_release

NETWORKS = """
import comfy.model_detection
from pipeline_core.models.families import find_family
from pipeline_core.models.released.tensor_lists import read_release
found = {}
for name in sys.argv[3:]:
    release = read_release(name)
    # The base is converted to the prefix that ComfyUI looks for.
    before = release.prefix.removeprefix("base_model.")
    bf16 = {"device": "meta", "dtype": torch.bfloat16}
    state = {before + key: torch.empty(shape, **bf16) for key, shape in release.shapes.items()}
    prefix = comfy.model_detection.unet_prefix_from_state_dict(state) if before else ""
    config = comfy.model_detection.model_config_from_unet(state, prefix)
    config.set_inference_dtype(torch.bfloat16, None)
    model = config.get_model({}, "", device=torch.device("meta"))
    own = {key: tuple(value.shape) for key, value in model.diffusion_model.state_dict().items()}
    family = find_family(config.unet_config)
    made = {"missing": sorted(set(own) - set(release.shapes)), "left over": sorted(set(release.shapes) - set(own))}
    made["other shapes"] = [key for key in own if release.shapes.get(key, own[key]) != own[key]]
    found[name] = {**made, "family": family and family.name}
print(json.dumps(found))
"""
CONTROLNET = """
import comfy.cldm.cldm, comfy.model_detection, comfy.ops
from pipeline_core.models.released.tensor_lists import read_release
release = read_release("sd15_controlnet")
state = {release.prefix + key: torch.empty(shape, device="meta") for key, shape in release.shapes.items()}
config = comfy.model_detection.model_config_from_unet(state, release.prefix, True).unet_config
config.pop("out_channels")
config["hint_channels"] = release.shapes["input_hint_block.0.weight"][1]
config |= {"device": torch.device("meta"), "operations": comfy.ops.disable_weight_init}
network = comfy.cldm.cldm.ControlNet(**config)
own = {key: tuple(value.shape) for key, value in network.state_dict().items()}
print(json.dumps({"same": own == release.shapes}))
"""
LORA = """
import comfy.lora, comfy.model_detection
from pipeline_core.models.released.tensor_lists import read_release
base, lora = read_release("ltxv_13b"), read_release("ltxv_ic_lora")
state = {base.prefix + key: torch.empty(shape, device="meta") for key, shape in base.shapes.items()}
model = comfy.model_detection.model_config_from_unet(state, base.prefix).get_model({}, "", device=torch.device("meta"))
weights = {key: torch.zeros(shape) for key, shape in lora.shapes.items()}
patches = comfy.lora.load_lora(weights, comfy.lora.model_lora_keys_unet(model, {}))
used = [name for patch in patches.values() for name in patch.loaded_keys]
print(json.dumps({"patches": len(patches), "left over": sorted(set(lora.shapes) - set(used))}))
"""
FAMILIES = {
    "cosmos_transfer1_base": "cosmos_transfer1",
    "ltxv_13b": "ltxv",
    "wan21_fun_control_1_3b": "wan21_fun",
    "wan21_vace_14b": "wan_vace",
    "wan21_vace_1_3b": "wan_vace",
    "wan22_fun_control_14b": "wan22_fun",
    "wan22_fun_control_5b": "wan22_fun_5b",
    "wan22_vace_fun_14b": "wan_vace",
}


@pytest.fixture(scope="module")
def networks(inside):
    return inside(NETWORKS, *FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_comfyuis_network_has_those_tensors_and_no_other(networks, name):
    assert networks[name] == {"missing": [], "left over": [], "other shapes": [], "family": FAMILIES[name]}


def test_a_released_controlnet_is_comfyuis(inside):
    assert inside(CONTROLNET) == {"same": True}


def test_a_released_ic_lora_finds_every_layer_of_the_13b_network(inside):
    assert inside(LORA) == {"patches": len(read_release("ltxv_ic_lora").shapes) // 2, "left over": []}
