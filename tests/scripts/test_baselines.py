"""The baselines are the shipped graphs without their inversion: whole graphs, at the published settings."""

import json

import baselines
import pytest

GRAPHS = {name: make() for name, make in baselines.BASELINES.items()}


def inputs(graph, kind):
    return graph[baselines.node_of(graph, kind)]["inputs"]


@pytest.mark.parametrize("name", GRAPHS)
def test_a_baseline_is_a_whole_graph_that_inverts_nothing(name):
    graph = GRAPHS[name]
    wires = [
        value
        for node in graph.values()
        for value in node["inputs"].values()
        if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
    ]
    assert wires and all(source in graph for source, _ in wires)
    assert not any(node["class_type"] == "VideoRealismDDIMInvert" for node in graph.values())
    titles = [node["_meta"]["title"] for node in graph.values()]
    assert len(set(titles)) == len(titles)  # run_workflow.py sets values by title
    sampler = inputs(graph, "SamplerCustomAdvanced")
    assert graph[sampler["noise"][0]]["class_type"] == "RandomNoise"


def test_what_each_starts_from():
    starts = {name: graph[inputs(graph, "SamplerCustomAdvanced")["latent_image"][0]] for name, graph in GRAPHS.items()}
    assert {name: node["class_type"] for name, node in starts.items()} == {
        "transfer1_noise": "EmptyCosmosLatentVideo",
        "transfer1_own": "VAEEncode",
        "vace_noise": "EmptyHunyuanLatentVideo",
        "per_frame": "EmptyLatentImage",
    }
    assert starts["transfer1_noise"]["inputs"] == {"width": 1280, "height": 704, "length": 121, "batch_size": 1}
    assert starts["vace_noise"]["inputs"] == {"width": 832, "height": 480, "length": 81, "batch_size": 1}
    assert starts["per_frame"]["inputs"] == {"width": 768, "height": 512, "batch_size": 16}


def test_the_published_settings():
    for name, cfg, solver in (
        ("transfer1_noise", 8.0, "res_multistep"),
        ("transfer1_own", 8.0, "res_multistep"),
        ("vace_noise", 5.0, "uni_pc"),
        ("per_frame", 7.5, "dpmpp_2m"),
    ):
        assert inputs(GRAPHS[name], "VideoRealismDualPromptGuider")["cfg"] == cfg
        assert inputs(GRAPHS[name], "KSamplerSelect")["sampler_name"] == solver
    assert [inputs(GRAPHS[name], "KarrasScheduler")["sigma_max"] for name in ("transfer1_noise", "transfer1_own")] == [
        80.0,
        70.0,
    ]
    assert inputs(GRAPHS["vace_noise"], "BasicScheduler")["steps"] == 50
    assert inputs(GRAPHS["vace_noise"], "ModelSamplingSD3")["shift"] == 16
    # A sampler that starts from random noise goes on to sigma 0, which the grid of an inversion leaves out.
    for graph in GRAPHS.values():
        levels = graph[inputs(graph, "SamplerCustomAdvanced")["sigmas"][0]]
        assert levels["class_type"] in ("KarrasScheduler", "BasicScheduler")


def test_the_command_writes_graphs_and_says_how_to_run_them(tmp_path, capsys):
    assert baselines.main(["-o", str(tmp_path)]) == 0
    said = capsys.readouterr().out.splitlines()
    for name, line in zip(GRAPHS, said, strict=True):
        path = tmp_path / f"{name}.api.json"
        assert line == f"python scripts/run_workflow.py {path} --input drive.mp4 -o clips/{name}"
        graph = json.loads(path.read_text())
        assert inputs(graph, "SaveVideo")["filename_prefix"] == f"video/{name}"
