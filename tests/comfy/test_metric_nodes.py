"""The measuring nodes in a real server: the core's own numbers, ComfyUI's vision encoders, the files they write."""

import json
import shutil

import pytest
import torch
from comfy_server import Graph, RunError
from tiny_perception import save_rt_detr

from pipeline_core.metrics.compare import compare_frames
from pipeline_core.metrics.masks import MaskBuffers
from pipeline_core.video.media import read_clip

REPORT = dict(
    name="run", filename_prefix="metrics/street", seams="", critic=False, estimate_flow=False, lpips="none", prompt="",
    depth_model="none", segmentation_model="none", clip_model="none", pickscore="none", video_model="none",
    judge="none",
)  # fmt: skip
SIZE = dict(frames=6, height=32, width=48)


class Pair(Graph):
    """A random clip, the same made darker, and a mask of its left half."""

    def __init__(self):
        super().__init__()
        self.source = self.add("VRTestRandomImages", seed=3, **SIZE)
        self.output = self.add(
            "ImageBlend", image1=self.source, image2=self.source, blend_factor=0.5, blend_mode="multiply"
        )
        left = self.add("SolidMask", value=1.0, width=24, height=32)
        empty = self.add("SolidMask", value=0.0, width=48, height=32)
        one = self.add("MaskComposite", destination=empty, source=left, x=0, y=0, operation="add")
        self.mask = self.add("RepeatImageBatch", image=self.add("MaskToImage", mask=one), amount=SIZE["frames"])
        self.mask = self.add("ImageToMask", image=self.mask, channel="red")

    def vision(self, kind):
        return self.add("VRTestTinyClipVision", kind=kind, seed=1)

    def text(self, source):
        return self.add("PreviewAny", source=source)


def clips(server):
    graph = Graph()
    source = graph.add("VRTestRandomImages", seed=3, **SIZE)
    file = graph.add("VRTestImageFile", image=source)
    import numpy as np

    source = torch.from_numpy(np.load(server.run(graph)[file]["text"][0]))
    return source, (0.5 * source + 0.5 * source * source).clamp(0, 1)


@pytest.mark.parametrize("size", [(32, 48), (31, 1025)])
def test_the_frontend_is_given_both_clips_small_and_with_even_sides(server, size):
    graph = Graph()
    wires = {}
    for name, seed in (("source", 3), ("output", 4)):
        wires[name] = graph.add("EmptyImage", width=size[1], height=size[0], batch_size=5, color=seed * 0x202020)
    metrics = graph.add("VideoRealismVideoMetrics", critic=False, **wires)
    files = server.run(graph)[metrics]["video_realism_before_after"]
    for file, seed in zip(files, (3, 4), strict=True):
        clip = read_clip(server.base / "temp" / file)
        assert clip.shape == (5, *((32, 48) if size == (32, 48) else (16, 512)), 3)
        assert (255 * clip - seed * 0x20).abs().max() < 4  # H.264


@pytest.mark.parametrize("kind", ["clip", "dinov2"])
def test_alignment_through_comfyui_s_vision_encoders(server, kind):
    graph = Pair()
    wires = {"source": graph.source, "clip_vision": graph.vision(kind), "vehicles": graph.mask}
    same, other = (
        graph.add("VideoRealismObjectAlignment", output=output, segmentation_model="none", **wires)
        for output in (graph.source, graph.output)
    )
    texts = [graph.text(node[7]) for node in (same, other)]
    number = graph.text(other[3])
    outputs = server.run(graph)
    equal, changed = (json.loads(outputs[text]["text"][0])["figures"]["objects"] for text in texts)
    assert equal["alignment"]["value"] == pytest.approx(1, abs=1e-5) == equal["alignment_vehicles"]["value"]
    assert changed["alignment"]["value"] < 0.9999 and changed["alignment_lights"]["value"] is None
    assert float(outputs[number]["text"][0]) == pytest.approx(changed["alignment_vehicles"]["value"], rel=1e-5)
    assert equal["vehicles_kept"]["value"] == 1 and "6 of 6 views" in equal["vehicles_kept"]["note"]
    assert "alignment" in outputs[other]["text"][0]


def test_the_report_holds_the_core_s_figures_and_its_files_are_there(server):
    graph = Pair()
    real = graph.add("VRTestRandomImages", seed=9, frames=9, height=20, width=20)
    first = graph.add(
        "VideoRealismReport", **REPORT, source=graph.source, output=graph.output, vehicles=graph.mask,
        clip_vision=graph.vision("clip"), real_frames=real, made_with='{"seed": 7}',
    )  # fmt: skip
    second = graph.add(
        "VideoRealismReport", **{**REPORT, "seams": "3", "critic": True}, source=graph.source, output=graph.source,
        reference=graph.output, earlier_runs=first[5],
    )  # fmt: skip
    sizes = [graph.add("VRTestImageFile", image=node[i]) for node in (first, second) for i in range(3)]
    texts = [graph.text(node[4]) for node in (first, second)] + [graph.text(second[3])]
    outputs = server.run(graph)
    one, two = (json.loads(outputs[text]["text"][0]) for text in texts[:2])
    source, output = clips(server)
    mask = torch.zeros(6, 32, 48)
    mask[:, :, :24] = 1
    expected = compare_frames(source, output, buffers=MaskBuffers({"vehicles": mask}, (6, 32, 48)))["figures"]
    for section, figures in expected.items():
        for name, figure in figures.items():
            if figure["value"] is not None:
                assert one["figures"][section][name]["value"] == pytest.approx(figure["value"], rel=1e-4), name
    for name in ("real_frechet", "real_kid", "real_cmmd"):
        assert one["figures"]["realism"][name]["value"] is not None
    assert one["figures"]["time"]["frame_consistency"]["value"] is not None
    assert one["about"]["made_with"] == {"seed": 7} and "torch" in one["about"]["environment"]
    assert len(two["about"]["models"]["critic"]["sha256"]) == 64 and two["about"]["seams"] == [3]
    assert "run #2" in outputs[texts[2]]["text"][0] and "*" in outputs[texts[2]]["text"][0]
    pictures = [outputs[node]["images"] for node in (first, second)]
    assert pictures[0][0]["subfolder"] != pictures[1][0]["subfolder"]
    for shown in (picture for held in pictures for picture in held):
        file = server.base / "output" / shown["subfolder"] / shown["filename"]
        assert file.read_bytes()[:4] == b"\x89PNG" and (file.parent / "figures.csv").is_file()
    assert len(sizes) == 6 and all(outputs[node]["text"] for node in sizes)


@pytest.mark.parametrize("change, word", [
    ({"earlier_runs": "report"}, "earlier_runs"), ({"seams": "x"}, "change seams"), ({"short": True}, "same number"),
    ({"filename_prefix": "a" * 300}, "too long a name"), ({"filename_prefix": "a\0"}, "NUL"), ({"name": "\0"}, "NUL"),
    ({"lpips": "(put one into models/metrics)"}, "lpips is .* put a .safetensors file into models/metrics"),
    ({"judge": "(put one into models/metrics)"}, "judge is .* put a transformers folder into models/metrics"),
])  # fmt: skip
def test_what_is_wrong_is_one_sentence(server, change, word):
    graph = Pair()
    output = graph.output
    if change.pop("short", False):
        output = graph.add("ImageFromBatch", image=output, batch_index=0, length=5)
    if "earlier_runs" in change:
        change["earlier_runs"] = graph.add("PrimitiveString", value="[1]")
    graph.add("VideoRealismReport", **{**REPORT, "source": graph.source, "output": output, **change})
    with pytest.raises(RunError, match=word):
        server.run(graph)


def test_objects_need_a_mask_or_a_model(server):
    graph = Pair()
    wires = {"source": graph.source, "output": graph.output, "segmentation_model": "none"}
    graph.add("VideoRealismObjectAlignment", **wires)
    with pytest.raises(RunError, match="No objects are known"):
        server.run(graph)


def test_a_detector_looks_for_objects_and_is_named(server):
    folder = server.base / "models" / "object_detection" / "street"
    folder.mkdir(parents=True)
    save_rt_detr(folder, ("car", "person", "traffic light"))
    graph, chosen = Pair(), {"detection_model": "street"}
    wires = {"source": graph.source, "output": graph.output}
    aligned = graph.add("VideoRealismObjectAlignment", **wires, segmentation_model="none", **chosen)
    report = graph.add("VideoRealismReport", **REPORT, **wires, **chosen)
    texts = [graph.text(aligned[7]), graph.text(report[4])]
    try:
        outputs = server.run(graph)
    finally:
        shutil.rmtree(folder)
    one, two = (json.loads(outputs[text]["text"][0]) for text in texts)
    for figures in (one["figures"]["objects"], two["figures"]["objects"]):
        assert not figures["objects_lost_detected"]["note"].startswith("not measured")
    assert len(two["about"]["models"]["detection_model"]["sha256"]) == 64
