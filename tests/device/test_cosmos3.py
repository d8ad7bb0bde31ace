"""Cosmos 3 on a second device: the CPU's answers, and nothing in a step that the host waits for."""

import tiny_cosmos3
import torch
from device_under_test import NAME, assert_near, device_under_test
from tiny_cosmos3 import CHANNELS

from pipeline_core.diffusion import VE
from pipeline_core.models import load_video_model

CELLS = (3, 4, 6)
PROMPTS = {"positive": "a filmed street", "negative": "a game, flat and plain"}
WEIGHTS = {"depth": 0.5, "edge": 0.5}


def draw(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def bound(folder, device):
    """predict of a loaded folder, and a state of it."""
    model = load_video_model(folder, device, precision="fp32")
    texts = dict(zip(PROMPTS, model.encode_text(list(PROMPTS.values())).split(1)))
    hints = {name: draw(seed, 1, CHANNELS, *CELLS) for seed, name in enumerate(WEIGHTS)}
    return model.predictor(texts, hints, WEIGHTS, VE), draw(9, 1, CHANNELS, *CELLS).to(device)


def test_it_answers_as_on_the_cpu_and_the_host_waits_for_nothing(tmp_path):
    folder = tiny_cosmos3.save(tiny_cosmos3.tiny_parts(), tmp_path / "cosmos3")
    predict, x = bound(folder, "cpu")
    wanted = torch.cat(predict(x, 2.0, list(PROMPTS)))
    with device_under_test() as device:
        predict, x = bound(folder, NAME)
        device.clear()
        found = torch.cat(predict(x, 2.0, list(PROMPTS)))
        assert device.reads == [], device.table(device.reads)
        assert found.device.type == torch.device(NAME).type
        assert_near(found, wanted, 1e-5)
