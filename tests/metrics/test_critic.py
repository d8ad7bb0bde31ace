import json

import pytest
import torch

from pipeline_core.errors import UserError
from pipeline_core.metrics.critic import CONFIG, WEIGHTS, CriticNetwork, load_critic, save_critic


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    save_critic(CriticNetwork((8, 8, 8)), tmp_path, {"widths": [8, 8, 8]})
    return tmp_path


def frames(count, height, width):
    return torch.rand(count, height, width, 3, generator=torch.Generator().manual_seed(1))


def test_each_frame_is_judged_alone_at_any_size(folder):
    critic = load_critic(folder)
    for size in ((16, 16), (33, 50)):
        clip = frames(19, *size)  # more than one batch
        logits, features = critic(clip)
        assert logits.shape == (19,) and features.shape == (19, 16)
        one, feature = critic(clip[17:18])
        torch.testing.assert_close(one, logits[17:18])
        torch.testing.assert_close(feature, features[17:18])


def test_saved_and_loaded_networks_agree(folder):
    torch.manual_seed(0)
    network = CriticNetwork((8, 8, 8))
    clip = frames(2, 24, 24)
    torch.testing.assert_close(load_critic(folder)(clip)[0], network(clip.movedim(-1, 1))[0].detach())


@pytest.mark.parametrize("damage", ["missing", "text", "other widths", "nan"])
def test_a_damaged_folder_is_one_clear_error(folder, damage):
    if damage == "missing":
        (folder / WEIGHTS).unlink()
    elif damage == "text":
        (folder / WEIGHTS).write_text("no weights")
    elif damage == "other widths":
        (folder / CONFIG).write_text(json.dumps({"widths": [8, 8]}))
    else:
        network = CriticNetwork((8, 8, 8))
        network.head.weight.data[0, 0] = float("nan")
        save_critic(network, folder, {"widths": [8, 8, 8]})
    with pytest.raises(UserError, match="critic"):
        load_critic(folder)


@pytest.mark.parametrize("bad", [frames(1, 8, 8), frames(1, 32, 32) * 2, frames(1, 32, 32)[0]])
def test_bad_frames_are_refused(folder, bad):
    with pytest.raises(UserError):
        load_critic(folder)(bad)
