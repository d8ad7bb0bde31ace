"""The multi-branch forward against diffusers' own single-branch forward, and its sum over branches by hand."""

from types import SimpleNamespace

import pytest
import torch

from pipeline_core.errors import UserError
from pipeline_core.models.networks.cosmos import cosmos_forward


def inputs(batch=2, channels=4, text_dim=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x, hint, other = torch.randn(3, batch, channels, 2, 4, 6, generator=generator)
    text = torch.randn(batch, 5, text_dim, generator=generator)
    return x, hint, other, text, torch.rand(batch, generator=generator)


@pytest.fixture
def torchvision_stand_in(monkeypatch):
    """diffusers' Cosmos forward resizes its padding mask with torchvision, which is not a requirement here."""
    from diffusers.models.controlnets import controlnet_cosmos
    from diffusers.models.transformers import transformer_cosmos

    def resize(image, size, interpolation):
        return torch.nn.functional.interpolate(image, size=size, mode=interpolation)

    stand_in = SimpleNamespace(
        functional=SimpleNamespace(resize=resize), InterpolationMode=SimpleNamespace(NEAREST="nearest")
    )
    for module in (controlnet_cosmos, transformer_cosmos):
        monkeypatch.setattr(module, "transforms", stand_in, raising=False)


def diffusers_forward(transformer, branch, hint, weight, x, t, text, condition_mask, fps):
    shared = {
        "timestep": t,
        "encoder_hidden_states": text,
        "condition_mask": condition_mask,
        "padding_mask": torch.zeros(1, 1, 32, 48),
        "fps": fps,
        "return_dict": False,
    }
    residuals = branch(controls_latents=hint, latents=x, conditioning_scale=weight, **shared)[0]
    return transformer(hidden_states=x, block_controlnet_hidden_states=residuals, **shared)[0]


@torch.no_grad()
def released_networks():
    from diffusers import CosmosControlNetModel, CosmosTransformer3DModel

    shared = {
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "mlp_ratio": 2.0,
        "text_embed_dim": 24,
        "adaln_lora_dim": 8,
        "max_size": (8, 16, 16),
        "patch_size": (1, 2, 2),
        "extra_pos_embed_type": "learnable",
        "img_context_dim_in": 10,
        "img_context_dim_out": 24,
        "use_crossattn_projection": True,
        "crossattn_proj_in_channels": 20,
        "encoder_hidden_states_channels": 24,
    }
    transformer = CosmosTransformer3DModel(
        in_channels=5,
        out_channels=4,
        num_layers=4,
        controlnet_block_every_n=2,
        img_context_num_tokens=6,
        **shared,
    )
    branch = CosmosControlNetModel(
        n_controlnet_blocks=2, in_channels=12, latent_channels=6, model_channels=24, **shared
    )
    generator = torch.Generator().manual_seed(7)
    for network in (transformer, branch):
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
        network.requires_grad_(False)
    return transformer, branch


@pytest.mark.parametrize("given_frames", [False, True])
@pytest.mark.parametrize("per_frame_time", [False, True])
def test_one_control_equals_diffusers(tiny_networks, torchvision_stand_in, given_frames, per_frame_time):
    x, hint, _, text, t = inputs()
    mask = torch.zeros(2, 1, 2, 4, 6)
    if given_frames:
        mask[:, :, 0] = 1
    if per_frame_time:
        t = torch.rand(2, 1, 2, 1, 1, generator=torch.Generator().manual_seed(1))
    branch = tiny_networks.branches["edge"]
    expected = diffusers_forward(tiny_networks.transformer, branch, hint, 0.7, x, t, text, mask, 16)
    got = cosmos_forward(
        tiny_networks.transformer, [(branch, hint, 0.7)], x, t, text, mask if given_frames else None, 16
    )
    assert got.shape == x.shape
    assert (got - expected).abs().max() < 1e-5 * expected.abs().max()


def test_released_layout_equals_diffusers(torchvision_stand_in):
    """Transfer2.5's layout in small: image context, text projection, learnt positions, padded hints, every 2nd."""
    transformer, branch = released_networks()
    x, hint, _, text, t = inputs(text_dim=20)
    image = torch.zeros(2, transformer.config.img_context_num_tokens, transformer.config.img_context_dim_in)
    mask = torch.zeros(2, 1, 2, 4, 6)
    expected = diffusers_forward(transformer, branch, hint, 1.0, x, t, (text, image), mask, None)
    got = cosmos_forward(transformer, [(branch, hint, 1.0)], x, t, text)
    assert (got - expected).abs().max() < 1e-5 * expected.abs().max()


def test_two_controls_sum_per_block_with_their_weights(tiny_networks, torchvision_stand_in):
    x, hint, other, text, t = inputs()
    first, second = tiny_networks.branches["edge"], tiny_networks.branches["depth"]
    weights = torch.rand(2, 2 * 2 * 3, 1, generator=torch.Generator().manual_seed(3))
    shared = {"latents": x, "timestep": t, "encoder_hidden_states": text, "return_dict": False}
    shared |= {"condition_mask": torch.zeros(2, 1, 2, 4, 6), "padding_mask": torch.zeros(1, 1, 32, 48)}
    one = first(controls_latents=hint, conditioning_scale=0.3, **shared)[0]
    two = second(controls_latents=other, conditioning_scale=1.0, **shared)[0]
    expected = tiny_networks.transformer(
        hidden_states=x,
        timestep=t,
        encoder_hidden_states=text,
        block_controlnet_hidden_states=[a + b * weights for a, b in zip(one, two)],
        condition_mask=shared["condition_mask"],
        padding_mask=shared["padding_mask"],
        return_dict=False,
    )[0]
    got = cosmos_forward(tiny_networks.transformer, [(first, hint, 0.3), (second, other, weights)], x, t, text)
    assert (got - expected).abs().max() < 1e-5 * expected.abs().max()


def test_strength_zero_is_the_base_bit_for_bit(tiny_networks):
    x, hint, _, text, t = inputs()
    base = cosmos_forward(tiny_networks.transformer, [], x, t, text)
    branch = tiny_networks.branches["edge"]
    assert torch.equal(cosmos_forward(tiny_networks.transformer, [(branch, hint, 0.0)], x, t, text), base)
    zeros = torch.zeros(1, 12, 1)
    assert torch.equal(cosmos_forward(tiny_networks.transformer, [(branch, hint, zeros)], x, t, text), base)
    assert not torch.equal(cosmos_forward(tiny_networks.transformer, [(branch, hint, 0.5)], x, t, text), base)


def test_inputs_are_left_alone(tiny_networks):
    x, hint, _, text, t = inputs()
    copies = [value.clone() for value in (x, hint, text, t)]
    cosmos_forward(tiny_networks.transformer, [(tiny_networks.branches["edge"], hint, 1.0)], x, t, text)
    assert all(torch.equal(a, b) for a, b in zip(copies, (x, hint, text, t)))


def test_wrong_shapes_are_named(tiny_networks):
    x, hint, _, text, t = inputs()
    with pytest.raises(UserError, match="2x4x5"):
        cosmos_forward(tiny_networks.transformer, [], x[..., :5], t, text)
    with pytest.raises(UserError, match="VAE that belongs"):
        cosmos_forward(tiny_networks.transformer, [], torch.cat([x, x], 1), t, text)
    wide = torch.cat([hint, hint], 1)
    with pytest.raises(UserError, match="8 channels"):
        cosmos_forward(tiny_networks.transformer, [(tiny_networks.branches["edge"], wide, 1.0)], x, t, text)
