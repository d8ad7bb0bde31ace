"""Attention replacement against maps that are written out, on the classes of Cosmos and Wan with random weights."""

import pytest
import torch
from diffusers import WanTransformer3DModel
from diffusers.models.transformers.transformer_cosmos import CosmosAttention, CosmosAttnProcessor2_5
from diffusers.models.transformers.transformer_wan import WanAttention, WanAttnProcessor
from tiny_perception import shaken

from pipeline_core.edits.alignment import TokenMap
from pipeline_core.edits.replacement import (
    CosmosReplacing,
    Replacement,
    Shares,
    WanReplacing,
    replacing,
    replacing_predict,
)
from pipeline_core.errors import UserError
from pipeline_core.models.networks.cosmos import cosmos_forward

TOKENS, HEADS, PLACES, WIDE = 5, 2, 7, 4


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def same_words(pairs=1):
    return TokenMap(torch.eye(TOKENS).expand(pairs, -1, -1), torch.zeros(pairs, TOKENS))


def other_words(pairs=2):
    """Any map: taken and own without a pattern."""
    generator = torch.Generator().manual_seed(3)
    taken, own = (torch.rand(shape, generator=generator) for shape in ((pairs, TOKENS, TOKENS), (pairs, TOKENS)))
    return TokenMap(taken, own)


@pytest.mark.parametrize("cross", (True, False))
@pytest.mark.parametrize("masked", (True, False))
def test_replaced_attention_is_hertz_with_its_maps_written_out(cross, masked):
    length = TOKENS if cross else PLACES
    q, k, v = (drawn(4, HEADS, count, WIDE, seed=i) for i, count in enumerate((PLACES, length, length)))
    mask = (torch.rand(4, 1, 1, length, generator=torch.Generator().manual_seed(4)) < 0.7) if masked else None
    tokens = other_words()
    replacement = Replacement(tokens)
    replacement.cross = replacement.within = True
    answer = replacement.attend(q, k, v, mask, cross)
    scores = q @ k.transpose(2, 3) / WIDE**0.5
    maps = (scores if mask is None else scores.masked_fill(~mask, -torch.inf)).softmax(-1)
    edited = maps.clone()
    for pair in range(2):
        before, own = maps[2 * pair], maps[2 * pair + 1]
        edited[2 * pair + 1] = before @ tokens.taken[pair] + own * tokens.own[pair] if cross else before
    assert torch.allclose(answer, edited @ v, atol=1e-5)


class Cosmos:
    def __init__(self, networks):
        self.networks = [networks.transformer, *networks.branches.values()]
        self.x, self.text = drawn(4, 4, 2, 4, 6), drawn(4, TOKENS, 16, seed=1)
        self.hint = drawn(1, 4, 2, 4, 6, seed=2)

    def __call__(self, x, text):
        controls = [(branch, self.hint.expand_as(x), 0.5) for branch in self.networks[1:]]
        with torch.no_grad():
            return cosmos_forward(self.networks[0], controls, x, torch.full((len(x),), 0.6), text)


class Wan:
    def __init__(self):
        torch.manual_seed(0)
        network = WanTransformer3DModel(
            num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=4, text_dim=16, freq_dim=16,
            ffn_dim=32, num_layers=2, rope_max_seq_len=32,
        )  # fmt: skip
        self.networks = [shaken(network).eval()]
        self.x, self.text = drawn(4, 4, 2, 4, 6), drawn(4, TOKENS, 16, seed=1)

    def __call__(self, x, text):
        with torch.no_grad():
            return self.networks[0](x, torch.full((len(x),), 600), text).sample


@pytest.fixture(params=("cosmos", "wan"))
def network(request, tiny_networks):
    return Cosmos(tiny_networks) if request.param == "cosmos" else Wan()


def test_nothing_changes_while_nothing_is_replaced(network):
    plain = network(network.x, network.text)
    before = [m.processor for net in network.networks for m in net.modules() if hasattr(m, "set_processor")]
    with replacing(network.networks, same_words()):
        assert torch.allclose(network(network.x, network.text), plain, atol=1e-5)
    assert before == [m.processor for net in network.networks for m in net.modules() if hasattr(m, "set_processor")]


def test_with_the_same_prompt_and_everything_replaced_both_sides_are_the_same(network):
    x, text = (value[0::2].repeat_interleave(2, 0) for value in (network.x, network.text))
    with replacing(network.networks, same_words()) as replacement:
        replacement.cross = replacement.within = True
        answer = network(x, text)
    assert torch.equal(answer[0::2], answer[1::2])
    assert torch.allclose(answer, network(x, text), atol=1e-5)


def test_the_sources_are_as_without_their_edits_and_the_edits_are_not(network):
    plain = network(network.x, network.text)
    for cross, within in ((True, False), (False, True), (True, True)):
        with replacing(network.networks, other_words()) as replacement:
            replacement.cross, replacement.within = cross, within
            answer = network(network.x, network.text)
        assert torch.allclose(answer[0::2], plain[0::2], atol=1e-5)
        assert (answer[1::2] - plain[1::2]).abs().max() > 1e-3


def test_a_text_of_another_length_and_half_a_pair_are_refused(network):
    with replacing(network.networks, same_words()) as replacement:
        replacement.cross = True
        with pytest.raises(UserError, match="aligned at 5 tokens"):
            network(network.x, network.text[:, :-1])
        with pytest.raises(UserError, match="give pairs"):
            network(network.x[:3], network.text[:3])


def test_an_image_context_is_attended_to_as_ever():
    torch.manual_seed(0)
    options = dict(query_dim=24, heads=2, dim_head=12, qk_norm="rms_norm", elementwise_affine=True, out_bias=False)
    attention = shaken(CosmosAttention(cross_attention_dim=24, processor=CosmosAttnProcessor2_5(), **options))
    contexts = drawn(2, TOKENS, 24, seed=1), drawn(2, 3, 24, seed=2)
    plain = attention(drawn(2, PLACES, 24), contexts, (None, None))
    attention.set_processor(CosmosReplacing(Replacement(same_words())))
    assert torch.allclose(attention(drawn(2, PLACES, 24), contexts, (None, None)), plain, atol=1e-5)

    attention = shaken(WanAttention(24, 2, 12, 1e-5, 0.0, 24, 12, WanAttnProcessor()))
    context = drawn(2, 3 + WanReplacing.TEXT, 24, seed=1)
    plain = attention(drawn(2, PLACES, 24), context)
    attention.set_processor(WanReplacing(Replacement(same_words())))
    assert torch.allclose(attention(drawn(2, PLACES, 24), context), plain, atol=1e-5)


def test_other_attention_is_refused():
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel(
        block_out_channels=(8, 8), down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), norm_num_groups=4,
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=8, attention_head_dim=4,
    )  # fmt: skip
    with pytest.raises(UserError, match="AttnProcessor2_0"), replacing([unet], same_words()):
        pass


def test_maps_are_replaced_in_a_share_of_the_steps_and_in_the_edited_branch_alone():
    replacement, seen = Replacement(same_words()), []

    def predict(x, sigma, branches):
        seen.append((sigma, *branches, replacement.cross, replacement.within))
        return [x for _ in branches]

    sigmas = torch.tensor([4.0, 3.0, 2.0, 1.0, 0.0])
    paired = replacing_predict(predict, replacement, sigmas, Shares(cross=1.0, within=0.5))
    for sigma in (4.0, 3.0, 2.0, 1.0):
        paired(torch.zeros(2, 1), sigma, ["positive", "negative"])
    assert [(cross, within) for _, name, cross, within in seen if name == "positive"] == [
        (True, True), (True, True), (True, False), (True, False)
    ]  # fmt: skip
    assert not any(cross or within for _, name, cross, within in seen if name == "negative")
    with pytest.raises(UserError, match="cross share"):
        Shares(cross=1.5)
