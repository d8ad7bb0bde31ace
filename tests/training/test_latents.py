import copy

import torch

from training.latents import encoder_mark

from .conftest import tiny_vae


def test_latents_belong_to_an_encoder_and_its_normalisation_not_to_a_decoder():
    vae = tiny_vae()
    before = encoder_mark(vae)
    assert encoder_mark(copy.deepcopy(vae).half()) == before  # as its file says
    for name, same in (("decoder.conv_in.conv.weight", True), ("encoder.conv_in.conv.weight", False),
                       ("latents_mean", False)):  # fmt: skip
        changed = copy.deepcopy(vae)
        changed.load_state_dict(changed.state_dict() | {name: changed.state_dict()[name] + 1})
        assert (encoder_mark(changed) == before) is same
    assert torch.is_grad_enabled()
