"""Loading: what was saved comes back bit for bit; every broken folder is refused with one sentence."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline_core.errors import UserError
from pipeline_core.models import load_video_model
from pipeline_core.models.folders.layout import is_model_folder
from pipeline_core.models.folders.loading import branch_names, load_part
from pipeline_core.models.folders.preset_file import read_latent_rgb


@pytest.fixture
def copy(model_folder, tmp_path):
    return shutil.copytree(model_folder, tmp_path / "copy")


def weights_of(folder):
    return next(folder.glob("*.safetensors"))


def test_round_trip_is_bit_equal(model_folder, tiny_networks):
    model = load_video_model(model_folder, precision="fp32")
    pairs = [(model.transformer, tiny_networks.transformer), (model.text_encoder, tiny_networks.text_encoder)]
    pairs += [(model.branches[name], branch) for name, branch in tiny_networks.branches.items()]
    assert set(model.branches) == {"edge", "depth", "segmentation"}
    for loaded, built in pairs:
        expected, got = built.state_dict(), loaded.state_dict()
        assert got.keys() == expected.keys()
        assert all(torch.equal(got[name], expected[name]) for name in expected)
        assert not loaded.training
    assert model.preset.size == (32, 48)


def test_nan_weight_is_named(copy):
    path = weights_of(copy / "controlnet_depth")
    tensors = load_file(path)
    tensors["control_blocks.1.attn1.to_q.weight"][0, 0] = float("nan")
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(UserError, match=r"control_blocks\.1\.attn1\.to_q\.weight in .*controlnet_depth.* NaN"):
        load_video_model(copy)


def test_missing_and_unknown_tensors_are_named(copy):
    path = weights_of(copy / "transformer")
    tensors = load_file(path)
    tensors["stray.weight"] = torch.zeros(1)
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(UserError, match=r"unknown tensor stray\.weight"):
        load_video_model(copy)
    del tensors["stray.weight"], tensors["proj_out.weight"]
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(UserError, match=r"lacks tensor proj_out\.weight; restore"):
        load_video_model(copy)
    tensors["net.final_layer.linear.weight"] = torch.zeros(1)  # as NVIDIA's own checkpoints call it
    save_file(tensors, path, {"format": "pt"})
    called = r"lacks tensor proj_out\.weight, which it calls net\.final_layer\.linear\.weight: its names are NVIDIA's"
    with pytest.raises(UserError, match=called):
        load_video_model(copy)


@pytest.mark.parametrize("part", ["transformer", "vae", "text_encoder", "tokenizer", "controlnet_edge"])
def test_missing_part_is_named(copy, part):
    shutil.rmtree(copy / part)
    with pytest.raises(UserError, match=f"has no {part}/"):
        load_video_model(copy)


def test_wrong_folders(tmp_path, copy):
    with pytest.raises(UserError, match="does not exist"):
        load_video_model(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no model_index\.json"):
        load_video_model(tmp_path)
    (copy / "preset.json").write_text(json.dumps({"stepz": 3}))
    with pytest.raises(UserError, match="stepz"):
        load_video_model(copy)
    for name, value, known in (("prediction", "eps", "flow or edm"), ("interpolant", "vp", "ve or flow")):
        (copy / "preset.json").write_text(json.dumps({name: value}))
        with pytest.raises(UserError, match=f"says {name} '{value}'; write {known}"):
            load_video_model(copy)
    (copy / "preset.json").unlink()
    with pytest.raises(UserError, match=r"no preset\.json"):
        load_video_model(copy)


def test_a_pickle_or_a_truncated_file_is_refused(copy):
    path = weights_of(copy / "transformer")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UserError, match="transformer.*is not a whole safetensors file"):
        load_video_model(copy)
    path.unlink()
    torch.save({}, copy / "transformer" / "diffusion_pytorch_model.bin")
    with pytest.raises(UserError, match=r"no \.safetensors"):
        load_video_model(copy)


def test_a_class_of_another_kind_is_refused(copy):
    index = json.loads((copy / "model_index.json").read_text())
    index["vae"] = ["transformers", "pipeline"]
    (copy / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="is a pipeline"):
        load_video_model(copy)


def test_one_part_alone_is_what_the_whole_model_has(model_folder):
    whole = load_video_model(model_folder)
    assert branch_names(model_folder) == ["depth", "edge", "segmentation"]
    alone = load_part(model_folder, "controlnet_depth").state_dict()
    expected = whole.branches["depth"].state_dict()
    assert alone.keys() == expected.keys() and all(torch.equal(alone[name], expected[name]) for name in alone)


def test_only_a_folder_whose_index_names_a_cosmos_transformer_is_a_model(copy, tmp_path):
    assert is_model_folder(copy) and not is_model_folder(tmp_path) and not is_model_folder(tmp_path / "nowhere")
    for index in ('{"transformer": ["diffusers", "WanTransformer3DModel"]}', "[]", "{", '{"unet": [null, null]}'):
        (copy / "model_index.json").write_text(index)
        assert not is_model_folder(copy)


def test_preview_colours_are_optional_and_a_broken_file_is_named(copy):
    assert read_latent_rgb(copy) is None
    (copy / "latent_rgb.json").write_text('{"factors": [[1, 2, 3]], "bias": [0, 0, 0]}')
    assert read_latent_rgb(copy) == ([[1, 2, 3]], [0, 0, 0])
    (copy / "latent_rgb.json").write_text('{"factors": []}')
    with pytest.raises(UserError, match=r"latent_rgb\.json"):
        read_latent_rgb(copy)
