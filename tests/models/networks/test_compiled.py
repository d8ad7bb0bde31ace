"""A step is one graph that a compiler can take: nothing in it waits for a value or hangs on one."""

import logging

import pytest
import tiny_transfer25
import torch

from pipeline_core.diffusion import VE, guided
from pipeline_core.diffusion.guidance import CFG
from pipeline_core.models import load_video_model

CELLS = (2, 4, 6)
SIGMAS = (9.0, 3.0, 1.0, 0.3)


def draw(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tiny_transfer25.save(*tiny_transfer25.tiny_parts(), tmp_path_factory.mktemp("models") / "transfer25")
    return load_video_model(folder, device="cpu", precision="fp32")


@pytest.fixture
def no_trace_log(monkeypatch):
    """What Dynamo writes for its own trace viewer pytest would keep, which takes minutes."""
    monkeypatch.setattr(logging.getLogger("torch.__trace"), "handlers", [])


# Dynamo says that it looks into what is computed once a pass, and computes it again.
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools")
def test_a_guided_step_is_one_graph_for_every_noise_level(model, no_trace_log):
    """Prediction under a control weighed by place, and guidance. fullgraph raises at the first break; a second graph
    knows sigma as a number that changes, and there is never a third."""
    texts = {name: draw(seed, 1, 8, tiny_transfer25.TEXT_WIDTH) for seed, name in enumerate(("positive", "negative"))}
    hints, weights = {"depth": draw(3, 1, 16, *CELLS)}, {"depth": draw(4, *CELLS).sigmoid()}
    denoise, graphs = guided(model.predictor(texts, hints, weights, VE), CFG(2.0)), []

    def counted(graph, inputs):
        graphs.append(graph)
        return graph

    torch._dynamo.reset()
    compiled = torch.compile(denoise, fullgraph=True, backend=counted)
    for sigma in SIGMAS:
        x = sigma * draw(9, 1, 16, *CELLS)
        assert torch.equal(compiled(x, sigma), denoise(x, sigma))
    assert len(graphs) == 2
