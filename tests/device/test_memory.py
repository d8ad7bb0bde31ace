"""What a device says it has free decides, before anything is tried: conditions in a batch, and the VAE's tiles."""

import pytest
import tiny_transfer25
import torch
from device_under_test import REAL
from pretend_device import NAME, PretendDevice

from pipeline_core.devices import free_memory
from pipeline_core.diffusion import VE
from pipeline_core.models import load_video_model
from pipeline_core.models.folders.memory import ROOM, forward_bytes, wan_coding_bytes
from pipeline_core.models.networks import coder, video_model

pytestmark = pytest.mark.skipif(REAL, reason="a real device has what it has")
NAMES = ["positive", "negative", "inversion"]
CELLS = (2, 4, 6)
PLENTY = 2**40


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_transfer25.save(*tiny_transfer25.tiny_parts(), tmp_path_factory.mktemp("models") / "transfer25")


def draw(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_what_is_free():
    assert free_memory(torch.device("cpu")) is None and free_memory(torch.device("meta")) is None
    with PretendDevice():
        assert free_memory(torch.device(NAME)) is None
    with PretendDevice(free=PLENTY):
        assert free_memory(torch.device(NAME)) == PLENTY


def test_what_torch_holds_unused_is_free_too(monkeypatch):
    for name, value in {"mem_get_info": (100, 1000), "memory_reserved": 70, "memory_allocated": 30}.items():
        monkeypatch.setattr(torch.cuda, name, lambda _, value=value: value)
    assert free_memory(torch.device("cuda")) == 140


@pytest.mark.parametrize("share, batches", [(0.5, [1, 1, 1]), (2.5, [2, 1]), (3.5, [3])])
def test_a_batch_is_as_many_conditions_as_there_is_memory_for(folder, share, batches, monkeypatch):
    seen, forward = [], video_model.cosmos_forward

    def counted(transformer, controls, state, *args, **kwargs):
        seen.append(len(state))
        return forward(transformer, controls, state, *args, **kwargs)

    def answers(device):
        model = load_video_model(folder, device, precision="fp32")
        texts = {name: draw(1, 8, tiny_transfer25.TEXT_WIDTH) + place for place, name in enumerate(NAMES)}
        hints = {"edge": draw(1, 16, *CELLS)}
        predict = model.predictor(texts, hints, {"edge": 1.0}, VE)
        each.append(forward_bytes(model.transformer.config, CELLS, 1, 4))
        return [torch.stack([x0.cpu() for x0 in predict(draw(1, 16, *CELLS).to(device), sigma, NAMES)])
                for sigma in (3.0, 2.0)]  # fmt: skip

    each = []
    wanted = answers("cpu")
    monkeypatch.setattr(video_model, "cosmos_forward", counted)
    with PretendDevice(free=PLENTY) as device:
        device.free = int(share * each[0] / ROOM)
        monkeypatch.setattr("pipeline_core.models.folders.loading.free_memory", lambda _: PLENTY)
        found = answers(NAME)
        assert device.asked == 1  # a pass, not a step
    assert seen == batches * 2
    for ours, theirs in zip(found, wanted, strict=True):
        assert (ours - theirs).abs().max() < 1e-5


@pytest.mark.parametrize("share, tiles", [(0.9, 9), (1.1, 1)])
def test_frames_that_cannot_fit_are_coded_by_tiles_at_once(folder, share, tiles, monkeypatch):
    monkeypatch.setattr(coder, "SIDES", (32,))
    monkeypatch.setattr(coder, "OVERLAP", 8)
    monkeypatch.setattr("pipeline_core.models.folders.loading.free_memory", lambda _: PLENTY)
    frames, sizes = torch.rand(5, 64, 64, 3, generator=torch.Generator().manual_seed(1)), []
    with PretendDevice(free=PLENTY) as device:
        model = load_video_model(folder, NAME, precision="fp32")
        device.free = int(share * wan_coding_bytes(model.vae.config, (8, 8), 4) / ROOM)
        encode = model.vae.encode
        monkeypatch.setattr(model.vae, "encode", lambda x: (sizes.append(x.shape[-2:]), encode(x))[1])
        if tiles > 1:
            with pytest.warns(UserWarning, match="tiles of 32 pixels"):
                latent = model.encode(frames)
        else:
            latent = model.encode(frames)
        assert latent.shape == (1, 16, 2, 8, 8) and len(sizes) == tiles
        assert model.decode(latent).device.type == ("cpu" if tiles > 1 else NAME)
