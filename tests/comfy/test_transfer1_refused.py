"""Wrong files and wrong wiring around Cosmos-Transfer1 end in one sentence, and nothing of them runs."""

import pytest
import torch
from comfy_server import RunError
from embedded_scene import draw
from safetensors.torch import save_file
from transfer1_plain import TEXT, control_weights
from transfer1_scene import CELLS, MAPS, Transfer1, install


@pytest.fixture(scope="module", autouse=True)
def files(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("released")
    install(server, folder)
    return folder


def refused(scene, node=None):
    if node is None:
        noise, sigmas = scene.tensor(draw(2, 1, 16, *CELLS)), scene.tensor(torch.tensor([5.0, 0.0]))
        node = scene.custom(noise[1], noise[2], sigmas[3], scene.add("VRTestAskAtSigmas"), 1.0)
    scene.add("PreviewAny", source=node)
    with pytest.raises(RunError) as raised:
        scene.run(scene)
    message = raised.value.exception_message
    assert raised.value.exception_type == "UserError" and "\n" not in message, message
    return message


def test_wrong_files_are_refused_in_one_sentence(server, files):
    folder = server.base / "models" / "controlnet"
    good = (folder / "edge_control.safetensors").read_bytes()
    (folder / "cut_off.safetensors").write_bytes(good[: len(good) // 2])
    (folder / "pickle.pt").write_bytes((files / "edge_control.pt").read_bytes())
    save_file({"net.blocks.block0.x.lora_A.weight": torch.ones(2, 2)}, folder / "lora.safetensors")
    save_file({"encoder.conv_in.weight": torch.ones(2), "decoder.x": torch.ones(2)}, folder / "vae.safetensors")
    state = {f"net.{name}": value for name, value in control_weights(11).items()}
    save_file({**state, "net.surprise": torch.ones(1)}, folder / "unknown.safetensors")
    del state["net.zero_blocks.block2.bias"]
    save_file(state, folder / "missing.safetensors")
    base = server.base / "models" / "diffusion_models" / "tiny_base.safetensors"
    (folder / "base.safetensors").write_bytes(base.read_bytes())
    for name, words in {
        "cut_off.safetensors": "download it again",
        "pickle.pt": "convert it first",
        "lora.safetensors": "is a LoRA",
        "vae.safetensors": "is a VAE",
        "unknown.safetensors": "has the unknown tensor net.surprise",
        "missing.safetensors": "lacks the tensor net.zero_blocks.block2.bias",
        "base.safetensors": "it is the base model",
    }.items():
        scene = Transfer1(server)
        node = scene.add("VideoRealismLoadTransfer1Control", control_file=name, weight_dtype="default")
        message = refused(scene, node)
        assert words in message and name in message, message


def test_wrong_wiring_is_refused_in_one_sentence(server):
    scene = Transfer1(server)
    scene.apply("edge", 1.0, vae=scene.add("VRTestTinyVAE", seed=1, kind="wan"))
    assert "Cosmos VAE" in refused(scene)

    scene = Transfer1(server)
    scene.apply("edge", 1.0)
    del scene[scene.prompts[0][0]]["inputs"]["vae"]
    assert "connect the Cosmos VAE" in refused(scene)

    scene = Transfer1(server)
    scene.apply("edge", 1.0, image=MAPS["edge"][:9])
    assert "map has 9 frames and the latent stands for 17" in refused(scene)

    scene = Transfer1(server)
    scene.apply("edge", 1.0)
    scene.model = scene.add("VRTestTinyWan", seed=1, text_dim=TEXT)
    assert "MODEL of another kind" in refused(scene)

    scene = Transfer1(server)
    scene.apply("edge", 1.0)
    scene.model = scene.add("VRTestTinyCosmos", seed=1, text_dim=TEXT, kind="predict1")
    assert "this MODEL has 24, 16 and 32" in refused(scene)
