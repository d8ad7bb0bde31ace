"""Batch Folder and Save To Dataset in the server: a folder is worked through, each clip once, whatever happens."""

import time

import pytest
from batch_folders import make_source
from comfy_server import Graph, RunError

from pipeline_core.batch.export import export
from pipeline_core.batch.results import read_results
from pipeline_core.video import media

FRAMES = 5


@pytest.fixture(scope="module")
def clips(server):
    """Two clips with buffers and a cut one in a folder of the server's input folder; name -> render."""
    folder = server.base / "input" / "recordings_of_a_day"
    renders = {name: make_source(folder, name, seed) for name, seed in (("one", 800003), ("sub/two", 800011))}
    (folder / "cut.mp4").write_bytes((folder / "one.mp4").read_bytes()[:3000])
    return {name.replace("/", "__"): styles["synthetic"] for name, styles in renders.items()}


def batch_folder(graph, output, **options):
    values = {"variant": "graph", "draw": 0, "most_frames": 0, "retry_failed": False, **options}
    return graph.add("VideoRealismBatchFolder", folder="recordings_of_a_day", output=output, **values)


def inverted(output, size=None, gate=False, **options):
    """(graph, Batch Folder, Save To Dataset) that saves the negative of each clip, cropped to `size`."""
    graph = Graph()
    piece = batch_folder(graph, output, **options)
    images = graph.add("ImageInvert", image=piece[0])
    if size:
        scale = {"upscale_method": "area", "crop": "center", "width": size[1], "height": size[0]}
        images = graph.add("ImageScale", image=images[0], **scale)
    return graph, piece, graph.add("VideoRealismSaveToDataset", images=images[0], clip=piece[6], gate=gate)


def rows(out):
    return {row["id"]: row for row in read_results(out).rows}


def no_leases(out, seconds=10):
    deadline = time.monotonic() + seconds
    while list((out / "leases").iterdir()):
        assert time.monotonic() < deadline, list((out / "leases").iterdir())
        time.sleep(0.05)


def test_queued_again_and_again_it_works_through_the_folder_and_then_does_nothing(server, clips, tmp_path):
    graph, piece, save = inverted("days/first")
    out = server.base / "output" / "days" / "first"
    shown = [server.run(graph) for _ in range(3)]
    assert [save in outputs for outputs in shown] == [True, True, False]
    text = shown[2][piece]["text"][0]
    assert "Nothing is left" in text and "2 done, 0 rejected, 1 failed" in text
    statuses = {name: row["status"] for name, row in rows(out).items()}
    assert statuses == {"cut": "failed", "one": "done", "sub__two": "done"}
    for name, render in clips.items():
        frames = media.read_clip(out / "clips" / name / "graph-0.mp4")
        source = media.read_clip(rows(out)[name]["input"]["clip"])
        assert frames.shape == source.shape and (frames - (1 - source)).abs().mean() < 0.03
        assert rows(out)[name]["settings"]["graph"][save]["class_type"] == "VideoRealismSaveToDataset"
    no_leases(out)
    assert (out / "index.html").is_file() and "cut" in (out / "quarantine.jsonl").read_text()
    exported = export(out, tmp_path / "set", "cityscapes")
    assert sum(split["frames"] for split in exported.counts.values()) == 2 * FRAMES
    other, piece, save = inverted("days/first", variant="other")
    assert save in server.run(other)  # another variant begins anew


def test_a_graph_that_fails_puts_the_clip_away_and_the_next_run_takes_another(server, clips):
    graph, _, _ = inverted("failing", size=(48, 48))
    out = server.base / "output" / "failing"
    with pytest.raises(RunError, match="another shape"):
        server.run(graph)
    no_leases(out)
    with pytest.raises(RunError, match="another shape"):
        server.run(graph)
    no_leases(out)
    assert {row["status"] for row in rows(out).values()} == {"failed"}
    assert len(rows(out)) == 3 and "VideoRealismSaveToDataset failed" in rows(out)["one"]["reason"]
    mended, _, save = inverted("failing", retry_failed=True)
    assert all(save in server.run(mended) for _ in range(2))
    assert sorted(row["status"] for row in rows(out).values()) == ["done", "done", "failed"]


def test_the_gate_rejects_by_its_limits_and_an_older_graph_gets_it_too(server, clips):
    graph, _, save = inverted("gated", gate=True)
    text = server.run(graph)[save]["text"][0]
    row = rows(server.base / "output" / "gated")["one"]
    assert row["status"] == "rejected" and row["reason"] in text and row["figures"]["critic"] < 1
    assert {check["name"] for check in row["verdict"]["checks"] if check["passed"] is False}
    older = Graph()  # without the inputs that came later
    piece = batch_folder(older, "older")
    save = older.add("VideoRealismSaveToDataset", images=piece[0], clip=piece[6])
    server.run(older)
    source = rows(server.base / "output" / "older")["one"]
    failed = {check["name"] for check in source["verdict"]["checks"] if check["passed"] is False}
    assert source["status"] == "rejected" and failed == {"critic"}, "the source itself is a render and nothing else"
    older[save]["inputs"]["limits"] = "critic = off"
    server.run(older)
    assert rows(server.base / "output" / "older")["sub__two"]["status"] == "done"
    older[piece]["inputs"]["output"], older[save]["inputs"]["limits"] = "odd", "beauty = 1"
    with pytest.raises(RunError, match="limits has 'beauty = 1'"):
        server.run(older)


def test_the_simulators_pictures_reach_the_maps_and_a_cancelled_clip_is_free_again(server, clips):
    graph = Graph()
    piece = batch_folder(graph, "days/cancelled")
    pictures = {"depth_pictures": piece[2], "tag_pictures": piece[3], "instance_pictures": piece[4]}
    choices = {"folder": "none", "palette": "carla", "mask_classes": "", "class_weights": "", "edge_preset": "medium"}
    formats = {"depth_format": "auto", "semantic_format": "auto", "depth_scale": 1.0, "camera": "", "start": 0}
    rest = {"length": 0, "crop": False, "depth_range": "these frames", "made_for": "embedded"}
    maps = graph.add("VideoRealismSimulatorBuffers", frames=piece[0], **pictures, **choices, **formats, **rest)
    wires = {"frames": piece[0], "edge": maps[0], "depth": maps[1], "segmentation": maps[2], "description": piece[5]}
    dials = {"realism": 0.5, "faithfulness": 0.5, "prompt": "", "model": "embedded", "seed": 3, "steps": 300}
    enhanced = graph.add("VideoRealismEnhanceRealism", **wires, **dials)
    save = graph.add("VideoRealismSaveToDataset", images=enhanced[0], clip=piece[6], gate=False)
    out = server.base / "output" / "days" / "cancelled"
    prompt = server.queue(graph)
    deadline = time.monotonic() + 60
    while not (out / "leases").is_dir() or not list((out / "leases").iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    server.interrupt()
    assert server.wait(prompt)["status"]["status_str"] == "error"
    no_leases(out)
    assert not any(row["status"] == "done" for row in rows(out).values())
    graph[enhanced]["inputs"]["steps"] = 5
    outputs = server.run(graph, timeout=300)
    row = rows(out)[outputs[save]["text"][0].split("/")[2]]
    assert row["status"] == "done" and row["seed"] == 3 and row["frames"] == FRAMES


def test_bad_input_is_one_sentence(server, clips):
    for options, said in (({"variant": "A b"}, "variant"), ({"output": "../x"}, "below ComfyUI's output folder")):
        values = {"output": "bad", **options}
        graph, _, _ = inverted(values.pop("output"), **values)
        with pytest.raises(RunError, match=said):
            server.run(graph)
    graph = Graph()
    piece = batch_folder(graph, "bad")
    graph.add("VideoRealismSaveToDataset", images=piece[0], clip=piece[5])
    with pytest.raises(RunError, match="connect the clip output of Batch Folder"):
        server.run(graph)
