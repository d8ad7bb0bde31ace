"""The soak's own judgement: what prompts it sends, how it tells a sentence from a crash, how memory has grown."""

import random

import pytest
import soak

from client.workflow_graph import read_graph


def error(kind):
    return {"exception_type": kind, "exception_message": "frames is -1.", "node_id": "1"}


def test_only_a_sentence_of_the_packs_is_an_error_and_anything_else_a_crash(capsys):
    graph = {"1": {"class_type": "VideoRealismDemoDrive", "inputs": {}}}
    ends = {
        "error": {"execution_start": {}, "execution_error": error("custom_nodes.pack.errors.UserError")},
        "crash": {"execution_start": {}, "execution_error": error("AttributeError")},
        "interrupted": {"execution_start": {}, "execution_interrupted": {}},
        "success": {"execution_start": {}, "execution_success": {}},
        "unknown": {"execution_start": {}},
    }
    for end, messages in ends.items():
        assert soak.end_of(graph, messages, "odd") == end
    assert capsys.readouterr().out.count("\n") == 1  # the crash alone is printed
    assert all("crash" not in allowed and "stuck" not in allowed for allowed in soak.EXPECTED.values())


def inputs(graph):
    pairs = [(key, name, value) for key, node in graph.items() for name, value in node["inputs"].items()]
    return {(key, name): repr(value) for key, name, value in pairs}  # repr: NaN is equal to itself


@pytest.mark.parametrize("kind", ["odd", "invalid"])
def test_a_spoiled_prompt_differs_from_a_valid_one_in_one_input_of_the_packs_nodes(kind):
    spoilt = 0
    for seed in range(40):
        valid, spoiled = (soak.prompt(random.Random(seed), each) for each in ("valid", kind))
        changed = {key for key, value in inputs(spoiled).items() if inputs(valid)[key] != value}
        assert len(changed) <= 1, changed  # an odd value may be the one that was there
        spoilt += len(changed)
        for node, _ in changed:
            assert spoiled[node]["class_type"].startswith("VideoRealism")
    assert spoilt > 30


def test_every_graph_it_sends_is_shipped_and_small():
    for name in soak.GRAPHS:
        read_graph(soak.ROOT / "workflows" / "api" / f"{name}.api.json")
    for seed in range(20):
        for node in soak.prompt(random.Random(seed), "cancelled").values():
            assert node["inputs"].get("frames") in (None, 5, 9, 17) or isinstance(node["inputs"]["frames"], list)


def test_growth_is_of_what_comes_after_the_warm_up():
    assert soak.growth_of([10, 900] + [100] * 8) == (100, 100, 0.0)
    before, after, growth = soak.growth_of([0] * 20 + [100] * 40 + [110] * 40)
    assert (before, after) == (100, 110) and growth == pytest.approx(0.1)
    assert soak.growth_of([]) == (0, 0, 0.0)
