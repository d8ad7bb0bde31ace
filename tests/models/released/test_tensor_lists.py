"""The lists of what every release holds, against the networks and loaders that read it, on tensors without values."""

import json
import math

import pytest

from pipeline_core.errors import UserError
from pipeline_core.models.plan.networks import build, read_config
from pipeline_core.models.released import tensor_lists
from pipeline_core.models.released.tensor_lists import expanded, read_release, releases, renamed_tensor
from pipeline_core.models.released.transfer1 import network_size, own_names

# Billions of weights, and how many tensors, by what the releases' pages and other readings of the files state.
STATED = {
    "cosmos3_nano": (15.16, None),
    "cosmos_transfer1_base": (7.24, None),
    "cosmos_transfer1_branch": (0.89, None),
    "cosmos_transfer25": (2.41, None),
    "cosmos_transfer25_branch": (0.47, None),
    "ltxv_13b": (13.04, None),
    "ltxv_ic_lora": (0.0409, 960),
    "sd15_controlnet": (0.361, 340),
    "wan21_fun_control_1_3b": (1.56, None),
    "wan21_vace_14b": (17.34, 1331),
    "wan21_vace_1_3b": (2.15, 1264),
    "wan21_vace_1_3b_diffusers": (2.15, 1264),
    "wan22_fun_control_14b": (14.29, None),
    "wan22_fun_control_5b": (5.0, None),
    "wan22_vace_fun_14b": (17.34, 1331),
}


def test_every_list_says_where_it_was_read_and_no_pattern_names_a_tensor_twice():
    assert set(releases()) == set(STATED)
    for name in releases():
        release = read_release(name)
        assert release.source.startswith("derived from ") or "index file" in release.source, name
        patterns = json.loads((tensor_lists.LISTS / f"{name}.json").read_text())["tensors"]
        assert sum(len(expanded(pattern)) for pattern in patterns) == len(release.shapes), name


@pytest.mark.parametrize("name", STATED)
def test_a_list_is_as_large_as_the_release(name):
    billions, count = STATED[name]
    release = read_release(name)
    assert sum(map(math.prod, release.shapes.values())) / 1e9 == pytest.approx(billions, rel=0.01)
    assert count is None or len(release.shapes) == count


def test_patterns():
    assert expanded("a.{8..11}.{q,k}.w") == [f"a.{n}.{w}.w" for n in (8, 9, 10, 11) for w in "qk"]
    assert expanded("plain") == ["plain"]
    with pytest.raises(UserError, match="There is no release wan9; give one of cosmos3_nano, cosmos_transfer1_base, "):
        read_release("wan9")


# The published configurations that memory and time are planned from (models/plan/configs), and what they must make.
CONFIGS = {
    "transfer25": "cosmos_transfer25",
    "transfer25_branch": "cosmos_transfer25_branch",
    "wan_vace_1.3b": "wan21_vace_1_3b_diffusers",
    "cosmos3_nano": "cosmos3_nano",
    "transfer1": "cosmos_transfer1_base",
    "wan_vace_14b": "wan21_vace_14b",
    "ltxv_13b": "ltxv_13b",
}


@pytest.mark.parametrize("config, name", CONFIGS.items(), ids=CONFIGS)
def test_a_published_configuration_makes_those_tensors_and_no_other(config, name):
    release, network = read_release(name), build(read_config(config))
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    if release.network:
        assert type(network).__name__ == release.network
    else:
        renamed = release.names_of("diffusers", shapes)
        shapes = {**{key: shapes[key] for key in shapes if key in release.shapes}} | {
            here: shapes[there] for here, there in renamed.items()
        }
    # diffusers gives LTX-Video's blocks their six shifts in one more dimension.
    assert set(shapes) == set(release.shapes)
    assert all(shape == release.shapes[key] for key, shape in shapes.items())


@pytest.mark.parametrize("kind", ["base", "branch"])
def test_a_transfer1_file_is_read_for_what_it_is(kind):
    """And what the list says is beside it is left out."""
    release = read_release(f"cosmos_transfer1_{kind}")
    patterns = json.loads((tensor_lists.LISTS / f"{release.name}.json").read_text())["beside"]
    assert {"accum_*", "*_extra_state"} < set(patterns)
    beside = [release.prefix + pattern.replace("*", "any") for pattern in patterns]
    networks = own_names([*(release.prefix + name for name in release.shapes), *beside])
    part = {"base": "base", "branch": "control"}[kind]
    assert list(networks) == [part] and set(networks[part]) == set(release.shapes)
    size = network_size(release.shapes, part)
    assert (size.width, size.heads, size.blocks) == (4096, 32, 28 if kind == "base" else 3)


RENAMED = {
    ("cosmos_transfer25", "NVIDIA's own"): {
        "net.blocks.27.adaln_modulation_cross_attn.2.weight": "transformer_blocks.27.norm2.linear_2.weight",
        "net.blocks.3.self_attn.q_proj.weight": "transformer_blocks.3.attn1.to_q.weight",
        "net.blocks.3.cross_attn.output_proj.weight": "transformer_blocks.3.attn2.to_out.0.weight",
        "net.blocks.0.self_attn.k_norm.weight": "transformer_blocks.0.attn1.norm_k.weight",
        "net.blocks.0.mlp.layer1.weight": "transformer_blocks.0.ff.net.0.proj.weight",
        "net.x_embedder.proj.1.weight": "patch_embed.proj.weight",
        "net.t_embedder.1.linear_2.weight": "time_embed.t_embedder.linear_2.weight",
        "net.t_embedding_norm.weight": "time_embed.norm.weight",
        "net.final_layer.linear.weight": "proj_out.weight",
        "net.crossattn_proj.0.bias": "crossattn_proj.0.bias",
    },
    ("cosmos_transfer1_base", "diffusers"): {
        "transformer_blocks.27.attn2.to_k.weight": "blocks.block27.blocks.1.block.attn.to_k.0.weight",
        "transformer_blocks.0.attn1.norm_q.weight": "blocks.block0.blocks.0.block.attn.to_q.1.weight",
        "transformer_blocks.0.attn1.to_out.0.weight": "blocks.block0.blocks.0.block.attn.to_out.0.weight",
        "transformer_blocks.0.ff.net.2.weight": "blocks.block0.blocks.2.block.layer2.weight",
        "transformer_blocks.0.norm3.linear_1.weight": "blocks.block0.blocks.2.adaLN_modulation.1.weight",
        "time_embed.norm.weight": "affline_norm.weight",
        "learnable_pos_embed.pos_emb_h": "extra_pos_embedder.pos_emb_h",
        "norm_out.linear_2.weight": "final_layer.adaLN_modulation.2.weight",
    },
    ("wan21_vace_1_3b", "diffusers"): {},  # all of them, below
    ("ltxv_ic_lora", "diffusers"): {
        "transformer.transformer_blocks.47.attn2.to_v.lora_B.weight": (
            "diffusion_model.transformer_blocks.47.attn2.to_v.lora_B.weight"
        )
    },
}


@pytest.mark.parametrize("release, layout", RENAMED)
def test_another_layouts_names_are_known(release, layout):
    wanted = {here: there for there, here in RENAMED[release, layout].items()}
    assert read_release(release).names_of(layout, wanted.values()) == wanted


def test_every_name_of_wan_in_diffusers_is_one_of_ours():
    theirs, ours = read_release("wan21_vace_1_3b_diffusers"), read_release("wan21_vace_1_3b")
    renamed = ours.names_of("diffusers", theirs.shapes)
    same = set(ours.shapes) & set(theirs.shapes)
    assert set(renamed) | same == set(ours.shapes) and set(renamed.values()) | same == set(theirs.shapes)
    assert all(ours.shapes[here] == theirs.shapes[there] for here, there in renamed.items())


def test_what_a_file_calls_a_missing_tensor_ends_the_sentence():
    theirs = ["net.blocks.3.self_attn.q_proj.weight"]
    missing = "transformer_blocks.3.attn1.to_q.weight"
    assert renamed_tensor("CosmosTransformer3DModel", missing, theirs) == (
        f", which it calls {theirs[0]}: its names are NVIDIA's own ones"
    )
    assert renamed_tensor("CosmosTransformer3DModel", missing, ["something.else"]) == ""
    assert renamed_tensor("AutoencoderKLWan", missing, theirs) == ""
