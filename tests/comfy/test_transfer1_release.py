"""What of the Cosmos-Transfer1 release ComfyUI already has: the 7B base's layout, RES 2ab, and room for a branch."""

DETECT = """
import comfy.model_detection
from pipeline_core.models.released.transfer1 import NetworkSize, expected_shapes
size = NetworkSize(4096, 32, 28, 16384, 1024, 256, 17, (120, 120, 128), answer=16)
shapes = expected_shapes(size)
state = {"net." + name: torch.empty(shape, device="meta", dtype=torch.bfloat16) for name, shape in shapes.items()}
prefix = comfy.model_detection.unet_prefix_from_state_dict(state)
config = comfy.model_detection.model_config_from_unet(state, prefix)
config.set_inference_dtype(torch.bfloat16, None)
model = config.get_model({}, "", device=torch.device("meta"))
own = {name: tuple(value.shape) for name, value in model.diffusion_model.state_dict().items()}
made = {"prefix": prefix, "class": type(config).__name__, "kind": type(model.model_sampling).__name__}
made["same"] = own == shapes
made["time stretch"] = config.unet_config["rope_t_extrapolation_ratio"]
made["sigma_data"] = config.sampling_settings["sigma_data"]
print(json.dumps(made))
"""
SOLVE = """
import math
from types import SimpleNamespace
import comfy.k_diffusion.sampling as native
from pipeline_core.diffusion import karras_sigmas, sample
sigmas = karras_sigmas(35, 0.002, 70.0)
generator = torch.Generator().manual_seed(1)
matrix = torch.randn(64, 64, generator=generator, dtype=torch.float64) / 8
def denoise(x, sigma):
    pulled = x / (1 + sigma**2) ** 0.5
    return torch.tanh(pulled @ matrix) / (1 + 0.1 * math.log1p(sigma))
noise = torch.randn(2, 64, generator=generator, dtype=torch.float64)
x = 70 * noise
calls = []
class Model:
    inner_model = SimpleNamespace(model_patcher=SimpleNamespace(get_model_object=lambda name: None))
    def __call__(self, x, sigma, **extra):
        calls.append(float(sigma[0]))
        return denoise(x, float(sigma[0]))
theirs = native.sample_res_multistep(Model(), x, torch.cat([sigmas, sigmas.new_zeros(1)]), disable=True)
count = len(calls)
short = native.sample_res_multistep(Model(), x, sigmas, disable=True)
ours = sample(denoise, noise, sigmas, solver="res_2ab", state_dtype=torch.float64, model_dtype=torch.float64)
euler = sample(denoise, noise, sigmas, solver="ddim", state_dtype=torch.float64, model_dtype=torch.float64)
scale = ours.abs().max()
print(json.dumps({
    "before the last call": float((short - ours).abs().max() / scale),
    "with it": float((theirs - denoise(ours, 0.002)).abs().max() / scale),
    "other solver": float((euler - ours).abs().max() / scale),
    "calls": count,
}))
"""
PARTLY = """
import comfy.utils
root = sys.argv[2]
pack = importlib.util.spec_from_file_location("pack", root + "/__init__.py", submodule_search_locations=[root])
sys.modules["pack"] = importlib.util.module_from_spec(pack)
pack.loader.exec_module(sys.modules["pack"])
from pack.nodes.host.controls.transfer1 import load_branch
from pathlib import Path
x, hint = torch.randn(1, 17, 2, 4, 4), torch.randn(1, 16, 2, 4, 4)
text, time = torch.randn(1, 5, 32), torch.tensor([0.3])
def answer(patcher):
    with torch.no_grad():
        return torch.stack(list(patcher.model.hints(x, time, text, hint, None, {})))
whole, partly = (load_branch(Path(sys.argv[3]), "default") for _ in range(2))
bare = [
    name for name, module in partly.model.named_modules()
    if list(module.parameters(recurse=False)) and not hasattr(module, "comfy_cast_weights")
]
total = partly.model_size()
partly.load(torch.device("cpu"), lowvram_model_memory=total // 3)
print(json.dumps({
    "not castable": bare,
    "left out": sum(hasattr(module, "prev_comfy_cast_weights") for module in partly.model.modules()),
    "loaded share": partly.model.model_loaded_weight_memory / total,
    "equal": torch.equal(answer(whole), answer(partly)),
}))
"""


def test_a_converted_7b_base_is_comfyuis_cosmos_image_to_video_tensor_for_tensor(inside):
    assert inside(DETECT) == {
        "prefix": "net.",
        "class": "CosmosI2V",
        "kind": "ModelSampling",
        "same": True,
        "time stretch": 2.0,
        "sigma_data": 0.5,
    }


def test_native_res_multistep_is_the_releases_res_2ab(inside):
    found = inside(SOLVE)
    assert found["calls"] == 36  # 35 steps and the release's extra call at sigma_min
    assert found["before the last call"] < 1e-12 and found["with it"] < 1e-12, found
    assert found["other solver"] > 1e-4


def test_a_branch_may_stay_partly_out_of_the_graphics_memory(inside, tmp_path):
    """Every layer with weights can be left where it is and fetched when it runs; the answer is the same."""
    from safetensors.torch import save_file
    from transfer1_plain import control_weights

    state = {f"net.{name}": value for name, value in control_weights(1).items()}
    save_file(state, tmp_path / "edge_control.safetensors")
    found = inside(PARTLY, tmp_path / "edge_control.safetensors")
    # The position code is read by native code that moves it itself.
    assert found["not castable"] == ["extra_pos_embedder"]
    assert found["left out"] > 20 and found["loaded share"] < 0.5 and found["equal"], found
