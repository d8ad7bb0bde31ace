"""The headless runner on a real server: results, reports, files, named errors, Ctrl-C."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import run_workflow
from comfy_server import ROOT, Graph
from PIL import Image
from shipped_graphs import write_clip
from tiny_graphs import VIDEO, sampling_graph


@pytest.fixture
def runner(server, tmp_path, capsys):
    """run(graph, *arguments) -> (exit code, standard error); files in runner.out."""

    def run(graph, *arguments):
        path = tmp_path / "graph.api.json"
        path.write_text(json.dumps(graph))
        code = run_workflow.main([str(path), "--server", server.address, "-o", str(run.out), *arguments])
        run.printed, error = capsys.readouterr()
        return code, error

    run.out = tmp_path / "out"
    return run


def report(runner):
    found = json.loads((runner.out / "report.json").read_text())
    return {item["node"]["title"]: item["text"] for item in found["reports"]}


def test_settings_by_title_change_the_result_and_reports_are_kept(runner):
    graph = sampling_graph("wan")
    assert runner(graph)[0] == 0
    first = report(runner)
    assert json.loads(first["VRTestReadBatchSizes"]) == [2, 2, 2]
    assert first["VRTestStatistics"] in runner.printed
    assert first["VRTestStatistics"] in (runner.out / "report.txt").read_text()
    code, error = runner(graph, "--set", "Sampler.steps=2", "--set", "Sampler.seed=9")
    assert code == 0
    assert json.loads(report(runner)["VRTestReadBatchSizes"]) == [2, 2]
    assert report(runner)["VRTestStatistics"] != first["VRTestStatistics"]
    assert "Sampler\n" in error  # no terminal: one line per node


def test_a_run_served_from_the_cache_reports_the_same(runner):
    graph = Graph()
    size = dict(VIDEO, batch=1, seed=77, scale=1.0)
    graph.add("VRTestStatistics", value=graph.add("VRTestRandomLatent", **size))
    assert runner(graph)[0] == 0
    first = report(runner)
    assert runner(graph)[0] == 0
    assert report(runner) == first and first


def test_an_image_goes_up_and_comes_back(runner, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (16, 24, 3), dtype=np.uint8)
    picture = tmp_path / "my picture.png"
    Image.fromarray(pixels).save(picture)
    graph = Graph()
    loaded = graph.add("LoadImage", title="Map", image="none.png")
    graph.add("SaveImage", images=loaded, filename_prefix="runner")
    assert runner(graph, "--input", str(picture), "--set", "SaveImage.filename_prefix=sub/runner")[0] == 0
    files = sorted(path.name for path in runner.out.iterdir())
    assert len(files) == 3 and files[0].startswith("report") and files[2].startswith("runner_")
    assert np.array_equal(np.asarray(Image.open(runner.out / files[2])), pixels)


def test_a_video_goes_up_and_comes_back(runner, tmp_path):
    import av

    clip = tmp_path / "clip.mp4"
    write_clip(clip, frames=7)
    graph = Graph()
    parts = graph.add("GetVideoComponents", video=graph.add("LoadVideo", title="Clip", file="none.mp4"))
    video = graph.add("CreateVideo", images=parts, fps=10.0)
    graph.add("SaveVideo", video=video, filename_prefix="runner", format="mp4", codec="h264")
    graph.add("VRTestStatistics", value=parts)
    assert runner(graph, "--input", f"Clip={clip}")[0] == 0
    assert json.loads(report(runner)["VRTestStatistics"])["shape"] == [7, 64, 96, 3]
    (made,) = runner.out.glob("*.mp4")
    with av.open(str(made)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 7


def test_a_failing_node_is_named_with_its_message(runner):
    graph = Graph()
    latents = [graph.add("VRTestRandomLatent", **{**VIDEO, "frames": f}, batch=1, seed=1, scale=1.0) for f in (2, 3)]
    graph.add("VRTestCompareLatents", title="Check", latent=latents[0], reference=latents[1])
    code, error = runner(graph)
    last = error.splitlines()[-1]
    assert code == 2
    assert last.startswith('error: "Check" (VRTestCompareLatents): shapes differ: (1, 16, 2, 8, 8)')
    assert not runner.out.exists()


def test_values_out_of_range_are_named_and_nothing_runs(runner, server):
    before = len(server.get("/history"))
    code, error = runner(sampling_graph("wan"), "--set", "Sampler.steps=0")
    assert code == 2
    assert 'error: "Sampler" (KSampler), input steps: ' in error
    # Two output nodes, one of them refused: the server alone would run the other one.
    graph = sampling_graph("wan", steps=500)
    graph.add("VRTestStatistics", value=graph.add("VRTestRandomLatent", **{**VIDEO, "channels": 0}, batch=1, seed=1))
    code, error = runner(graph)
    assert code == 2 and "VRTestRandomLatent" in error and "channels" in error
    while any(server.get("/queue").values()):
        time.sleep(0.05)
    statuses = [entry["status"]["status_str"] for entry in list(server.get("/history").values())[before:]]
    assert "success" not in statuses


def test_nodes_the_server_lacks_are_named(runner):
    graph = Graph()
    graph.add("VideoRealismOfTomorrow")
    code, error = runner(graph)
    assert code == 2 and "lacks VideoRealismOfTomorrow: install or update ComfyUI-VideoRealism" in error


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to another process is POSIX")
def test_ctrl_c_cancels_on_the_server(server, tmp_path):
    path = tmp_path / "graph.api.json"
    path.write_text(json.dumps(sampling_graph("wan", steps=10000)))
    command = [sys.executable, str(ROOT / "scripts/run_workflow.py"), str(path), "--server", server.address]
    process = subprocess.Popen(
        [*command, "-o", str(tmp_path / "out")],
        stderr=subprocess.PIPE,
        text=True,
        # Test runs started in the background inherit an ignored SIGINT; a person's terminal does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not server.get("/queue")["queue_running"]:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    (_, prompt_id, *_) = server.get("/queue")["queue_running"][0]
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error.splitlines()[-1]) == (130, "cancelled")
    messages = server.wait(prompt_id)["status"]["messages"]
    assert messages[-1][0] == "execution_interrupted"
    assert not (tmp_path / "out").exists()
