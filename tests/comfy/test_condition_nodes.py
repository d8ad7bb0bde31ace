"""The nodes that make conditions, in a real server: the core's own results, and errors in one sentence."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from comfy_server import Graph, RunError
from rounding import share_of_others
from shipped_graphs import api_graph, node_of
from tiny_perception import save_captioner, save_detector, save_tracker

from pipeline_core.conditions.blur import blur_map
from pipeline_core.conditions.buffers import write_buffers
from pipeline_core.conditions.conventions import CONVENTIONS
from pipeline_core.conditions.depth import depth_limits, disparity_map
from pipeline_core.conditions.edges import CANNY_PRESETS, edge_map
from pipeline_core.conditions.encodings import encode_depth, encode_instances
from pipeline_core.conditions.instances import instance_map
from pipeline_core.conditions.simulator import simulator_maps, tensor_streams
from pipeline_core.conditions.smoothing import smooth_depth
from pipeline_core.conditions.weights import parse_class_weights
from pipeline_core.perception.captions import compose, load_captioner
from pipeline_core.perception.estimators import load_estimators
from pipeline_core.perception.grounding import load_detector
from pipeline_core.perception.tracking import load_tracker, look_again
from pipeline_core.video.media import write_clip
from pipeline_core.world import make_scene, render

T, SIZE = 6, (32, 48)
SENTENCE = "signs and lights at 1, sky at 0.2, rest at 0.5"
DEFAULTS = {
    "SimulatorBuffers": dict(
        folder="none", palette="carla", mask_classes="lights and signs", class_weights=SENTENCE, edge_preset="medium",
        depth_format="auto", semantic_format="auto", depth_scale=1.0, camera="", start=0, length=0, crop=False,
        depth_range="these frames",
    ),
    "StructureMaps": dict(edge_low=100.0, edge_high=200.0, depth_model="none", segmentation_model="none"),
    "TrackObjects": dict(words="car. person.", detection_model="none", tracking_model="none", look_every=2),
    "ControlDetector": dict(detector="hed", resolution=0),
    "CaptionVideo": dict(prompt_set="embedded", look="", model="none", instruction="what is it", pictures=3, tokens=6),
}  # fmt: skip


class Conditions(Graph):
    def ours(self, name, **inputs):
        return self.add(f"VideoRealism{name}", **{**DEFAULTS[name], **inputs})

    def tensor(self, server, values):
        """An IMAGE of exactly these values, under a name of its own: ComfyUI remembers what a name gave."""
        name = hashlib.sha256(values.numpy().tobytes()).hexdigest()[:12]
        np.save(server.base / "input" / f"{name}.npy", values.numpy())
        return self.add("VRTestTensorFile", name=name)

    def file(self, image):
        return self.add("VRTestImageFile", image=image)

    def mask_file(self, mask):
        return self.file(self.add("MaskToImage", mask=mask)[0])

    def text(self, source):
        return self.add("PreviewAny", source=source)


def images(outputs, node):
    return torch.from_numpy(np.load(outputs[node]["text"][0]))


def error_of(server, graph):
    with pytest.raises(RunError) as caught:
        server.run(graph)
    return caught.value


@pytest.fixture(scope="module")
def drive():
    return render(make_scene(2), T, SIZE, "synthetic")


@pytest.fixture(scope="module")
def recording(server, drive):
    """A clip and its buffers in the server's input folder, and one that belongs to another clip."""
    folder = server.base / "input"
    write_clip(folder / "street.mp4", drive.rgb, 24)
    write_buffers(folder / "street_buffers", folder / "street.mp4", drive)
    write_clip(folder / "other.mp4", drive.rgb.flip(0), 24)
    return "street_buffers"


def wanted_maps(drive, **words):
    streams = tensor_streams(drive.depth.clamp(max=1000), drive.classes, drive.instances)
    return simulator_maps(streams, drive.rgb, convention="cosmos_transfer1", **words)


def test_a_recording_becomes_the_cores_maps_masks_and_weights(server, recording, drive):
    graph = Conditions()
    frames = graph.tensor(server, drive.rgb)
    video = graph.add("LoadVideo", file="street.mp4")
    node = graph.ours("SimulatorBuffers", frames=frames, video=video, folder=recording)
    objects = graph.ours("SimulatorBuffers", frames=frames, folder=recording, palette="instances")
    files = [graph.file(node[i]) for i in range(3)] + [graph.mask_file(node[i]) for i in (3, 4)]
    painted, told, report = graph.file(objects[2]), graph.text(node[5]), graph.text(node[6])
    outputs = server.run(graph)
    made = wanted_maps(drive, mask_of="lights and signs", weights=parse_class_weights(SENTENCE))
    for file, values in zip(files, (made.edge, made.depth, made.segmentation, made.mask, made.weights)):
        values = values if values.dim() == 4 else values[..., None].expand(-1, -1, -1, 3)
        off = (images(outputs, file) - values).abs() > 1e-4
        # An edge is there or not: another torch may tip the close ones (docs/determinism.md).
        assert float(off.float().mean()) <= (1e-3 if file is files[0] else 0)
    assert torch.allclose(images(outputs, painted), instance_map(drive.instances), atol=1e-6)
    assert outputs[told]["text"][0] == drive.scene["description"]
    said = json.loads(outputs[report]["text"][0])
    assert (said["depth_format"], said["semantic_format"], said["frames"]) == ("carla", "0.9.14", T)
    assert said["mask_share"] == pytest.approx(float(made.mask.mean()), rel=1e-6)
    assert "mask: lights and signs on" in outputs[node]["text"][0]


def test_loaded_pictures_a_part_of_the_recording_and_no_clip(server, recording, drive):
    graph = Conditions()
    depth = torch.stack([torch.from_numpy(encode_depth(d)).float() / 255 for d in drive.depth])
    ids = torch.stack(
        [torch.from_numpy(encode_instances(c, i)) / 255.0 for c, i in zip(drive.classes, drive.instances)]
    )
    pictures = {"depth_pictures": graph.tensor(server, depth)}
    pictures["instance_pictures"] = graph.tensor(server, ids)
    loaded = graph.ours("SimulatorBuffers", frames=graph.tensor(server, drive.rgb), **pictures)
    part = graph.ours("SimulatorBuffers", folder=recording, start=2, length=3, mask_classes="", class_weights="")
    files = [graph.file(loaded[1]), graph.file(loaded[2]), graph.mask_file(loaded[3]), graph.file(part[2])]
    outputs = server.run(graph)
    made = wanted_maps(drive, mask_of="lights and signs")
    assert float((images(outputs, files[0])[..., 0] - made.depth).abs().max()) < 1e-4
    assert torch.equal(images(outputs, files[1]), made.segmentation)
    assert torch.equal(images(outputs, files[2])[..., 0], made.mask)
    assert torch.equal(images(outputs, files[3]), made.segmentation[2:5])
    assert "no edge: frames is not connected" in outputs[part]["text"][0]


def test_an_empty_mask_is_said(server, recording, drive):
    graph = Conditions()
    node = graph.ours("SimulatorBuffers", folder=recording, mask_classes="trains")
    file = graph.mask_file(node[3])
    outputs = server.run(graph)
    assert "The mask is empty: none of trains is in these frames." in outputs[node]["text"][0]
    assert float(images(outputs, file).sum()) == 0


def wrong(server, drive):
    """name -> (how to build, what is said)."""

    def buffers(g, frames=None, **inputs):
        given = {} if frames is None else {"frames": g.tensor(server, frames)}
        return g.ours("SimulatorBuffers", **given, **inputs)

    street = "street_buffers"
    wide = torch.rand(T, 16, 48, 3, generator=torch.Generator().manual_seed(0))
    return {
        "nothing": (lambda g: buffers(g), "No buffers came: choose a folder"),
        "another clip": (
            lambda g: buffers(g, folder=street, video=g.add("LoadVideo", file="other.mp4")),
            "belong to another clip than",
        ),
        "another length": (lambda g: buffers(g, torch.cat([wide, wide]), folder=street), "frames 0 to 11 are needed"),
        "another shape": (lambda g: buffers(g, wide, folder=street), "48x32 and the clip is 48x16, another shape"),
        "a folder and pictures": (
            lambda g: buffers(g, folder=street, depth_pictures=g.tensor(server, wide)),
            "set folder to none, or unplug it",
        ),
        "scaled pictures": (
            lambda g: g.ours("SimulatorBuffers", depth_pictures=g.tensor(server, wide)),
            "no 8-bit codes",
        ),
        "an unknown class": (lambda g: buffers(g, folder=street, mask_classes="dragons"), "'dragons' is unknown"),
        "a weight above one": (
            lambda g: buffers(g, folder=street, class_weights="sky at 3"),
            "give weights from 0 to 1",
        ),
        "no model to find": (
            lambda g: g.ours("TrackObjects", frames=g.tensor(server, wide)),
            "detection_model is none: put a transformers folder into models/object_detection",
        ),
        "no weights": (
            lambda g: g.ours("ControlDetector", frames=g.tensor(server, wide)),
            "The detector hed needs ControlNetHED.pth: put the weights into",
        ),
        "a model without a clip": (
            lambda g: g.ours("CaptionVideo", model="tiny"),
            "A model is chosen but no clip came: connect frames",
        ),
        "a blur for larger frames": (
            lambda g: g.ours("StructureMaps", frames=g.tensor(server, wide), blur="medium"),
            "too small for the medium blur",
        ),
    }  # fmt: skip


@pytest.fixture(scope="module")
def folders(server, tmp_path_factory):
    """Tiny models in the server's model folders."""
    made = {}
    for kind, save in (
        ("object_detection", save_detector),
        ("video_segmentation", save_tracker),
        ("vision_language", save_captioner),
    ):
        folder = server.base / "models" / kind / "tiny"
        folder.mkdir(parents=True)
        made[kind] = save(folder)
    yield made
    for folder in made.values():
        shutil.rmtree(folder)


def test_what_is_wrong_is_said_in_one_sentence(server, recording, folders, drive):
    for name, (build, sentence) in wrong(server, drive).items():
        graph = Conditions()
        node = build(graph)
        graph.text(node[0])
        error = error_of(server, graph)
        assert sentence in error.exception_message and "\n" not in error.exception_message, name
        assert error.exception_type == "UserError" and error.node_id == node, name


def test_a_folder_outside_the_input_folder_is_refused(server, recording):
    for folder in ("../models", "/tmp", "street_buffers/../.."):
        graph = Conditions()
        graph.text(graph.ours("SimulatorBuffers", folder=folder)[5])
        error = error_of(server, graph)  # refused by newer cores, by the node in older ones
        assert error.kind == "rejected" or "is not in ComfyUI's input folder" in error.exception_message


def test_structure_maps_have_presets_smoothing_and_blur(server, depth_folder, drive):
    folder = server.base / "models" / "depth_estimation" / "steady"
    folder.parent.mkdir(exist_ok=True)
    folder.symlink_to(depth_folder)
    graph = Conditions()
    frames = graph.tensor(server, drive.rgb)
    more = dict(edge_preset="very_low", temporal_smoothing=2, blur="very_low")
    families = {"cosmos_transfer1": {}, "embedded": {"made_for": "embedded"}}  # the first is the default
    nodes = [
        graph.ours("StructureMaps", frames=frames, depth_model="steady", **more, **given) for given in families.values()
    ]
    files = [[graph.file(node[i]) for i in (0, 1, 3)] for node in nodes]
    outputs = server.run(graph)
    depth = list(smooth_depth([load_estimators(depth_folder).depth(drive.rgb)], 2))
    for name, node, (edge, depths, blur) in zip(families, nodes, files):
        row = CONVENTIONS[name]
        wanted = torch.cat([disparity_map(values, depth_limits(depth, row.depth)) for values in depth])
        found = edge_map(drive.rgb, *CANNY_PRESETS["very_low"], operator=row.edges)
        assert share_of_others(images(outputs, edge)[..., 0], found) < 1e-3
        assert float(((images(outputs, depths)[..., 0] - wanted).abs() > 2e-3).float().mean()) < 0.01
        assert float((images(outputs, blur) - blur_map(drive.rgb, "very_low")).abs().max()) < 2e-2
        said = outputs[node]["text"][0]
        assert "steadied over 5 frames" in said and "blur: very_low" in said and f"made for {name}" in said


def test_objects_are_found_and_followed_as_in_the_core(server, folders, drive):
    graph = Conditions()
    frames = graph.tensor(server, drive.rgb)
    node = graph.ours("TrackObjects", frames=frames, detection_model="tiny", tracking_model="tiny")
    files, report = [graph.file(node[0]), graph.mask_file(node[1])], graph.text(node[2])
    outputs = server.run(graph)
    detect = load_detector(folders["object_detection"])
    first = detect(drive.rgb[0], "car. person.")
    boxes = list(first)
    look = look_again(detect, "car. person.", 2, boxes)
    ids = torch.stack(list(load_tracker(folders["video_segmentation"])(iter(drive.rgb), first, look)))
    same = (images(outputs, files[0]) - instance_map(ids)).abs().amax(-1) < 1e-5
    assert float(same.float().mean()) > 0.99 and 0 < float((ids > 0).float().mean())
    assert float((images(outputs, files[1])[..., 0] - (ids > 0).float()).abs().mean()) < 0.01
    found = json.loads(outputs[report]["text"][0])["objects"]
    assert [entry["words"] for entry in found] == [box.words for box in boxes]
    assert [entry["first_frame"] == 0 for entry in found] == [True] * len(first) + [False] * (len(boxes) - len(first))


def test_the_shipped_graph_of_maps_runs_on_tiny_models(server, folders):
    graph = api_graph("maps_from_models")
    graph[node_of(graph, "VideoRealismTrackObjects")]["inputs"] |= dict.fromkeys(
        ("detection_model", "tracking_model"), "tiny"
    )
    detector, compare = (node_of(graph, f"VideoRealism{name}") for name in ("ControlDetector", "Compare"))
    try:
        outputs = server.run(graph)
    except RunError as error:  # where ComfyUI's Python lacks the package, all else runs
        assert "controlnet-aux is missing" in error.exception_message
        del graph[detector]
        graph[compare]["inputs"]["clip_1"] = graph[compare]["inputs"]["clip_3"]
        server.forget()  # nodes served from the cache say nothing
        outputs = server.run(graph)
    titles = {graph[node_id]["_meta"]["title"]: output for node_id, output in outputs.items()}
    assert "objects in 17 frames" in titles["Track Objects"]["text"][0] and titles["Contact sheet"]["images"]


def test_without_controlnet_aux_the_detector_says_what_to_install(server):
    """Where the package is installed in ComfyUI's Python the detector draws instead."""
    graph = Conditions()
    frames = graph.add("VRTestRandomImages", frames=2, height=64, width=96, seed=0)
    node = graph.ours("ControlDetector", frames=frames, detector="lineart_standard")
    file = graph.file(node[0])
    try:
        outputs = server.run(graph)
    except RunError as error:
        assert "The package controlnet-aux is missing" in error.exception_message
        assert "\n" not in error.exception_message
    else:
        assert images(outputs, file).shape == (2, 64, 96, 3)


def test_prompts_from_a_model_from_a_description_and_from_nothing(server, folders, drive):
    graph = Conditions()
    frames = graph.tensor(server, drive.rgb)
    words = graph.add("StringConcatenate", string_a="a red car", string_b="waits", delimiter=" ")
    seen = graph.ours("CaptionVideo", frames=frames, model="tiny", prompt_set="video realism")
    told = graph.ours("CaptionVideo", description=words, prompt_set="cosmos carla", look=" at\nnight ")
    plain = graph.ours("CaptionVideo")
    texts = {node: [graph.text(node[i]) for i in range(4)] for node in (seen, told, plain)}
    outputs = server.run(graph)
    inversion, positive, negative, caption = ([outputs[t[i]]["text"][0] for t in texts.values()] for i in range(4))
    answer = load_captioner(folders["vision_language"], instruction="what is it", pictures=3, tokens=6)(drive.rgb)
    assert caption == [answer, "a red car waits", ""]
    expected = [compose("video realism", answer), compose("cosmos carla", "a red car waits"), compose("embedded")]
    assert inversion == [prompts.inversion for prompts in expected]
    assert negative == [prompts.negative for prompts in expected]
    assert positive == [expected[0].positive, f"{expected[1].positive}, at night", expected[2].positive]
