"""Results that come from outside, one clip at a time: what is next, what counts as done, what a saved row says."""

import json

import pytest
import torch
from batch_folders import FPS, make_source

from pipeline_core.batch.export import export
from pipeline_core.batch.graph_batch import open_batch, pictures
from pipeline_core.batch.judging import load_gate
from pipeline_core.batch.leases import claim
from pipeline_core.batch.page import write_page
from pipeline_core.batch.results import read_results
from pipeline_core.batch.rules import GateRules, parse_limits
from pipeline_core.conditions.recordings import classes_of_frames, depth_of_frames, instances_of_frames
from pipeline_core.errors import UserError
from pipeline_core.video import media
from pipeline_core.video.frames import resize

GRAPH = {"1": {"class_type": "KSampler", "inputs": {"seed": 5, "steps": 20}}, "2": {"class_type": "X", "inputs": {}}}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("in")
    renders = {name: make_source(folder, name, seed) for name, seed in (("a/one", 800003), ("two", 800011))}
    (folder / "cut.mp4").write_bytes((folder / "two.mp4").read_bytes()[:3000])
    return folder, renders


def saved(batch, piece, frames=None, **options):
    frames = piece.frames if frames is None else frames
    options = {"graph": GRAPH, "figures": {"edge_f1": 0.9}, "accepted": True, **options}
    row = batch.save(piece.task, frames, **options)
    piece.lease.release()
    return row


def test_each_clip_comes_once_and_a_cut_one_is_put_away(sources, tmp_path):
    folder, renders = sources
    batch = open_batch(folder, tmp_path / "out", "night", 0)
    names = []
    while (piece := open_batch(folder, tmp_path / "out", "night", 0).next_piece()) is not None:
        names.append(piece.task.source.id)
        saved(batch, piece)
    assert sorted(names) == ["a__one", "two"]
    assert batch.counts() == {"done": 2, "rejected": 0, "failed": 1, "left": 0}
    (line,) = map(json.loads, (tmp_path / "out" / "quarantine.jsonl").read_text().splitlines())
    assert line["id"] == "cut" and "cut.mp4" in line["reason"] and "retry_failed" in line["command"]
    assert batch.next_piece(retry_failed=True) is None  # it fails again, and the search goes on
    assert open_batch(folder, tmp_path / "out", "night", 1).next_piece(most_frames=2).frames.shape[0] == 2
    assert not list((tmp_path / "out" / "leases").glob("*night-0*"))


def test_what_another_has_claimed_is_left_to_it(sources, tmp_path):
    batch = open_batch(sources[0], tmp_path / "out", "graph", 0)
    lease = claim(tmp_path / "out" / "leases", "a__one.graph-0")
    first = batch.next_piece()
    assert first.task.source.id == "two" and batch.next_piece() is None
    lease.release()
    assert batch.next_piece().task.source.id == "a__one"
    assert batch.counts()["left"] == 2


def test_a_failure_is_noted_and_comes_last_when_tried_again(sources, tmp_path):
    batch = open_batch(sources[0], tmp_path / "out", "graph", 0)
    piece = batch.next_piece()
    batch.fail(piece.task, "The node KSampler failed: no memory")
    piece.lease.release()
    other = batch.next_piece(retry_failed=True)
    assert other.task.source.id != piece.task.source.id  # what was never tried comes first
    row = saved(batch, other)
    batch.fail(other.task, "The node Preview failed: late")  # a result that is there stays
    assert batch.counts()["done"] == 1 and row["status"] == "done"
    assert batch.next_piece(retry_failed=True).task.source.id == piece.task.source.id


def test_a_saved_row_is_shown_and_exported_like_any_other(sources, tmp_path):
    folder, renders = sources
    out = tmp_path / "out"
    batch = open_batch(folder, out, "graph", 0)
    piece = batch.next_piece()
    name = piece.task.source.clip.relative_to(folder).with_suffix("").as_posix()
    row = saved(batch, piece, renders[name]["photoreal"].rgb)
    assert (row["seed"], row["fps"], row["frames"], row["size"]) == (5, FPS, 5, [48, 80])
    other = batch.next_piece()
    saved(batch, other, accepted=False)
    assert read_results(out).rows[0]["settings"]["graph"] == GRAPH
    assert "edge f1" in write_page(out).read_text()
    exported = export(out, tmp_path / "set", "cityscapes", "train=1")
    assert exported.rejected == 1 and exported.counts["train"]["frames"] == 5 and not exported.left_out
    assert "made with the model ComfyUI graph" in (tmp_path / "set" / "README.md").read_text().replace("\n", " ")


def test_the_gate_rejects_what_the_command_would(sources, tmp_path):
    """The photoreal twin is good, at another size and cut too; its negative is not; looks and own limits count."""
    folder, renders = sources
    limits = parse_limits("critic = off; object_least = 0; edge_f1 = 0.3 # small clips\nedge_f1_least = .2")
    gate = load_gate(GateRules(limits))
    batch = open_batch(folder, tmp_path / "out", "night", 0)
    piece = batch.next_piece()
    name = piece.task.source.clip.relative_to(folder).with_suffix("").as_posix()
    twin = renders[name]["photoreal"].rgb
    for frames in (twin, twin[:3], resize(twin, (96, 160))):
        row = batch.save(piece.task, frames, GRAPH, {"mine": 1.0}, True, gate)
        assert (row["status"], row["look"], row["reason"]) == ("done", "night", None), row["reason"]
        assert row["figures"]["mine"] == 1.0 and row["figures"]["edge_f1"] > 0.3
        checks = {check["name"]: check for check in row["verdict"]["checks"]}
        assert checks["edge_f1"]["limit"] == 0.3 and "critic" not in checks
        assert checks["lamp_least"]["passed"] is not False
    row = batch.save(piece.task, 1 - twin, GRAPH, {}, True, gate)
    assert row["status"] == "rejected" and "light" in row["reason"]
    assert not row["verdict"]["accepted"] and row["verdict"]["checks"]
    row = batch.save(piece.task, twin, GRAPH, {}, False, gate)
    assert row["status"] == "rejected" and row["reason"] == "The graph did not accept it."
    left = sorted(path.name for path in piece.task.output(batch.out).parent.iterdir())
    assert left == ["night-0.json", "night-0.mp4"]
    with pytest.raises(UserError, match="limits has 'beauty = 1'"):
        parse_limits("beauty = 1")
    with pytest.raises(UserError, match="edge_f1 in limits is 2"):
        parse_limits("edge_f1 = 2")


def test_buffers_come_as_a_graph_loads_pictures(sources, tmp_path):
    folder, renders = sources
    piece = open_batch(folder, tmp_path / "out", "graph", 0).next_piece()
    name = piece.task.source.clip.relative_to(folder).with_suffix("").as_posix()
    render = renders[name]["synthetic"]
    assert torch.equal(instances_of_frames(pictures(piece.buffers, "instance", 5)), render.instances)
    assert torch.equal(classes_of_frames(pictures(piece.buffers, "semantic", 5)), render.classes)
    depth = depth_of_frames(pictures(piece.buffers, "depth", 3))
    assert torch.allclose(depth, render.depth[:3].clamp(max=1000), atol=1e-3)
    assert pictures(piece.buffers, "normals", 5) is None


def test_bad_input_is_one_sentence(sources, tmp_path):
    folder, _ = sources
    batch = open_batch(folder, tmp_path / "out", "graph", 0)
    piece = batch.next_piece()
    with pytest.raises(UserError, match="6 images came"):
        saved(batch, piece, torch.rand(6, 48, 80, 3))
    with pytest.raises(UserError, match="another shape"):
        saved(batch, piece, torch.rand(5, 48, 64, 3))
    assert batch.counts()["left"] == 2
    for name in ("", "Night", "../a", "a b"):
        with pytest.raises(UserError, match="variant"):
            open_batch(folder, tmp_path / "out", name, 0)
    (tmp_path / "other").mkdir()
    media.write_clip(tmp_path / "other" / "b.mp4", torch.zeros(2, 16, 16, 3), 5)
    with pytest.raises(UserError, match="other clips"):
        open_batch(tmp_path / "other", tmp_path / "out", "graph", 0)
    with pytest.raises(UserError, match="something else"):
        open_batch(folder, tmp_path / "other", "graph", 0)
