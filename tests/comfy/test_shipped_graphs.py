"""Every shipped API graph runs to success on the CPU; those that name large model files are at least understood."""

import pytest
from comfy_server import ROOT, RunError
from shipped_graphs import NAMES, api_graph, missing_models, put_input_files


def test_every_workflow_has_its_api_graph():
    assert sorted(path.name for path in (ROOT / "workflows" / "api").glob("*")) == [
        f"{name}.api.json" for name in NAMES
    ]


@pytest.mark.parametrize("name", NAMES)
def test_shipped_api_graph(server, name):
    graph = api_graph(name)
    put_input_files(server, graph)
    missing = missing_models(server, graph)
    if not missing:
        assert server.run(graph, timeout=600)
        return
    with pytest.raises(RunError) as refused:
        server.run(graph)
    faults = [error for found in refused.value.details["node_errors"].values() for error in found["errors"]]
    assert {error["type"] for error in faults} == {"value_not_in_list"}
    assert all(any(model in error["details"] for model in missing) for error in faults)
