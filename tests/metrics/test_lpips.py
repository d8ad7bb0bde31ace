"""Oracle: the two networks and the distance written with numpy windows, on narrow random weights of the real layout."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny_metrics import ALEX, VGG, lpips_weights

from pipeline_core.errors import UserError
from pipeline_core.metrics.lpips import LPIPS


@pytest.fixture
def saved(tmp_path):
    def save(layers):
        save_file(lpips_weights(layers), str(tmp_path / "w.safetensors"))
        return tmp_path / "w.safetensors"

    return save


def by_numpy(layers, state, a, b):
    state = {name: value.double().numpy() for name, value in state.items()}
    shift, scale = [-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]
    pair = [((f.double().numpy() * 2 - 1 - shift) / scale).transpose(2, 0, 1) for f in (a, b)]
    total, tapped = 0.0, 0
    for name, kernel, stride, padding, pool in layers:
        key = f"net.slice{name.rstrip('*')}"
        for i, x in enumerate(pair):
            if pool:
                windows = np.lib.stride_tricks.sliding_window_view(x, (pool[0], pool[0]), (1, 2))
                x = windows[:, :: pool[1], :: pool[1]].max((3, 4))
            x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
            windows = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), (1, 2))[:, ::stride, ::stride]
            x = np.einsum("chwij,ocij->ohw", windows, state[f"{key}.weight"]) + state[f"{key}.bias"][:, None, None]
            pair[i] = np.maximum(x, 0)
        if name.endswith("*"):
            unit = [x / (np.sqrt((x**2).sum(0)) + 1e-10) for x in pair]
            w = state[f"lin{tapped}.model.1.weight"][0, :, 0, 0]
            total += np.einsum("c,chw->hw", w, (unit[0] - unit[1]) ** 2).mean()
            tapped += 1
    return total


@pytest.mark.parametrize("name, layers", [("alex", ALEX), ("vgg", VGG)])
def test_the_distance_is_the_paper_s(saved, name, layers):
    g = torch.Generator().manual_seed(1)
    a, b = torch.rand(3, 41, 52, 3, generator=g), torch.rand(3, 41, 52, 3, generator=g)
    metric = LPIPS(saved(layers))
    metric.update(a[:1], b[:1])
    metric.update(a[1:], b[1:])
    expected = [by_numpy(layers, lpips_weights(layers), *frames) for frames in zip(a, b)]
    assert metric.series["lpips"] == pytest.approx(expected, rel=1e-4) and min(expected) > 1e-2
    figure = metric.compute()["lpips"]
    assert figure.value == pytest.approx(np.mean(expected), rel=1e-4) and name in figure.note


def test_equal_frames_are_at_zero_and_the_range_is_held(saved):
    clip = torch.rand(2, 33, 33, 3, generator=torch.Generator().manual_seed(2))
    metric = LPIPS(saved(ALEX))
    metric.update(clip, clip)
    assert metric.compute()["lpips"].value == 0
    for wrong in (clip * 2 - 1, clip * 255):
        with pytest.raises(UserError, match=r"\[0, 1\]"):
            LPIPS(saved(ALEX)).update(wrong, wrong)
    small = LPIPS(saved(ALEX))
    small.update(clip[:, :20], clip[:, :20])
    assert small.compute()["lpips"].value is None and "32" in small.compute()["lpips"].note


@pytest.mark.parametrize("damage", ["missing", "text", "lacking", "other", "negative", "nan"])
def test_weights_that_cannot_be_right_are_refused(tmp_path, damage):
    path, state = tmp_path / "w.safetensors", lpips_weights(ALEX)
    if damage == "lacking":
        del state["lin3.model.1.weight"]
    elif damage == "other":
        state = {"features.0.weight": torch.zeros(4, 3, 11, 11)}
    elif damage == "negative":
        state["lin0.model.1.weight"][0, 1] = -0.1
    elif damage == "nan":
        state["net.slice4.8.bias"][0] = torch.nan
    if damage == "text":
        path.write_text("no weights")
    elif damage != "missing":
        save_file(state, str(path))
    with pytest.raises(UserError, match="give|save|download"):
        LPIPS(path)
