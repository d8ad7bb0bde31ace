"""The nodes about whole clips in a real server: the core's own numbers, chunks that join, errors in one sentence."""

import json
import math
import subprocess
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from comfy_server import ROOT, Graph, RunError
from rounding import share_of_others

from client.own_server import environment
from pipeline_core.conditions.edges import edge_map
from pipeline_core.conditions.estimated import Estimators
from pipeline_core.conditions.maps import clip_disparity_limits, window_maps
from pipeline_core.enhance import enhance
from pipeline_core.job.dials import dials
from pipeline_core.job.settings import resolve
from pipeline_core.longvideo import plan_windows
from pipeline_core.metrics.compare import compare_frames
from pipeline_core.models.folders.loading import load_video_model
from pipeline_core.perception.estimators import estimated_limits, load_estimators
from pipeline_core.video.sheet import GAP, LABEL_HEIGHT
from pipeline_core.world import RenderedBuffers, drive_scene, render

SEED, FPS = 910_003, 24.0
CONTROLS = ("edge", "depth", "segmentation")
DEFAULTS = {
    "DemoDrive": dict(scene_seed=SEED, frames=7, width=48, height=32, style="synthetic", fps=FPS),
    "StructureMaps": dict(edge_low=100.0, edge_high=200.0, depth_model="none", segmentation_model="none"),
    "ChunkPlan": dict(window=5, overlap=1, temporal_ratio=4),
    "ChunkStitcher": {},
    "Compare": dict(label_1="source", label_2="enhanced", label_3="reference", columns=5),
    "VideoMetrics": dict(critic=False),
    "EnhanceRealism": dict(realism=0.5, faithfulness=0.5, prompt="", model="embedded", seed=0, steps=6),
}


class Clips(Graph):
    """A graph of this pack's nodes under their short names, with files of what came out."""

    def ours(self, name, **inputs):
        return self.add(f"VideoRealism{name}", **{**DEFAULTS[name], **inputs})

    def noise(self, frames=12, height=32, width=48, seed=0):
        return self.add("VRTestRandomImages", frames=frames, height=height, width=width, seed=seed)

    def flat(self, frames=5, height=32, width=48, channels=3, value=0.5):
        return self.add("VRTestFlatImages", frames=frames, height=height, width=width, channels=channels, value=value)

    def file(self, image):
        return self.add("VRTestImageFile", image=image)

    def text(self, source):
        return self.add("PreviewAny", source=source)


def images(outputs, node):
    """What VRTestImageFile wrote: one tensor per chunk."""
    return [torch.from_numpy(np.load(path)) for path in outputs[node]["text"]]


def noise(frames=12, height=32, width=48, seed=0):
    """What VRTestRandomImages makes."""
    return torch.rand(frames, height, width, 3, generator=torch.Generator().manual_seed(seed))


def drive(frames, size, style="synthetic"):
    """The core's own render and maps of the scene that Demo Drive shows."""
    clip = render(drive_scene(SEED, frames, FPS), frames, size, style)
    buffers = RenderedBuffers(clip)
    return clip, window_maps(CONTROLS, clip.rgb, 0, buffers, Estimators(), clip_disparity_limits(buffers))


def error_of(server, graph):
    with pytest.raises(RunError) as caught:
        server.run(graph)
    return caught.value


@pytest.mark.parametrize("style", ["synthetic", "photoreal.rain"])
def test_a_demo_drive_is_the_worlds_own_clip_with_the_jobs_own_maps(server, style):
    graph = Clips()
    node = graph.ours("DemoDrive", frames=12, style=style)  # three pieces, a short last one
    files = [graph.file(node[i]) for i in range(4)]
    told, rate = graph.text(node[4]), graph.text(node[5])
    outputs = server.run(graph)
    clip, maps = drive(12, (32, 48), style)
    wanted = [clip.rgb, *(maps[name] if maps[name].dim() == 4 else maps[name][..., None] for name in CONTROLS)]
    for file, values in zip(files, wanted):
        (found,) = images(outputs, file)
        assert found.shape == (12, 32, 48, 3) and float((found - values).abs().max()) < 1e-5
    assert outputs[told]["text"][0] == clip.scene["description"] == outputs[node]["text"][0]
    assert float(outputs[rate]["text"][0]) == FPS


@pytest.mark.parametrize("low, high", [(100.0, 200.0), (20.0, 50.0)])
def test_structure_maps_find_the_cores_edges_and_leave_the_rest_empty(server, low, high):
    graph = Clips()
    node = graph.ours("StructureMaps", frames=graph.noise(9), edge_low=low, edge_high=high)
    file = graph.file(node[0])
    outputs = server.run(graph)
    (edge,) = images(outputs, file)
    assert share_of_others(edge, edge_map(noise(9), low / 255, high / 255)[..., None].expand(-1, -1, -1, 3)) < 1e-3
    assert "no depth: depth_model is none" in outputs[node]["text"][0]


def test_structure_maps_of_local_models_are_on_one_scale_for_the_clip(server, depth_folder, segmentation_folder):
    for kind, folder in (("depth_estimation", depth_folder), ("semantic_segmentation", segmentation_folder)):
        (server.base / "models" / kind).mkdir(exist_ok=True)
        (server.base / "models" / kind / "tiny").symlink_to(folder)
    graph = Clips()
    models = {"depth_model": "tiny", "segmentation_model": "tiny"}
    node = graph.ours("StructureMaps", frames=graph.noise(9), made_for="embedded", **models)
    files = [graph.file(node[i]) for i in range(3)]
    outputs = server.run(graph)
    estimators, clip = load_estimators(depth_folder, segmentation_folder), noise(9)
    limits = estimated_limits(estimators.depth, clip)
    for name, file in zip(CONTROLS, files):
        (found,) = images(outputs, file)
        wanted = window_maps([name], clip, 0, None, estimators, limits)[name]
        wanted = wanted if wanted.dim() == 4 else wanted[..., None]
        assert float(((found - wanted).abs() > 1e-3).float().mean()) < 1e-3, name
    choices = server.object_info("VideoRealismStructureMaps")["VideoRealismStructureMaps"]["input"]["required"]
    assert "tiny" in json.dumps(choices["depth_model"])


@pytest.mark.parametrize("frames", [12, 4])  # three chunks; one chunk; both padded by a frame
def test_a_clip_cut_into_chunks_and_joined_is_the_clip(server, frames):
    graph = Clips()
    plan = graph.ours("ChunkPlan", frames=graph.noise(frames), depth=graph.noise(frames, seed=1))
    larger = graph.add(
        "ImageScale", image=plan[0], upscale_method="nearest-exact", width=96, height=64, crop="disabled"
    )
    joined = [graph.ours("ChunkStitcher", chunks=chunks, plan=plan[5]) for chunks in (plan[0], plan[2], larger[0])]
    chunks, files, starts = graph.file(plan[0]), [graph.file(node) for node in joined], graph.text(plan[4])
    outputs = server.run(graph)
    windows = plan_windows(frames, 5, 1, 4)
    assert [len(chunk) for chunk in images(outputs, chunks)] == [5] * len(windows)
    assert [int(text) for text in outputs[starts]["text"]] == [w.start for w in windows]
    clip = noise(frames)
    doubled = clip.repeat_interleave(2, 1).repeat_interleave(2, 2)
    for file, wanted in zip(files, (clip, noise(frames, seed=1), doubled)):
        (found,) = images(outputs, file)
        assert found.shape == wanted.shape and float((found - wanted).abs().max()) < 1e-6
    said = outputs[plan]["text"][0]
    assert "repeated 1 times" in said and f"{len(windows)} chunk{'s' * (len(windows) > 1)} of 5: " in said


def test_metrics_are_those_of_the_core_and_a_clip_equals_itself(server):
    graph = Clips()
    drives = [graph.ours("DemoDrive", style=style) for style in ("synthetic", "photoreal.day")]
    same = graph.ours("VideoMetrics", source=drives[0], output=drives[0], reference=drives[0])
    other = graph.ours("VideoMetrics", source=drives[0], output=drives[1])
    numbers = [[graph.text(node[i]) for i in range(6)] for node in (same, other)]
    outputs = server.run(graph)
    equal, apart = ([outputs[node]["text"][0] for node in row] for row in numbers)
    assert [float(value) for value in equal[:4]] == pytest.approx([math.inf, 1, 0, 1]) and math.isnan(float(equal[4]))
    assert all(math.isnan(float(apart[i])) for i in (0, 1, 2, 4))
    clips = [drive(7, (32, 48), style)[0].rgb for style in ("synthetic", "photoreal.day")]
    wanted = compare_frames(*clips)["figures"]
    found = json.loads(apart[5])["figures"]
    assert float(apart[3]) == pytest.approx(wanted["to the source"]["edge_f1"]["value"], abs=1e-3)
    assert found["to the source"]["psnr"]["value"] == pytest.approx(wanted["to the source"]["psnr"]["value"], abs=1e-3)
    shown = [outputs[node]["text"][0] for node in (same, other)]
    assert "to the reference" in shown[0] and "to the reference" not in shown[1] and "edge_f1" in shown[1]


def test_the_critic_takes_the_twin_for_the_photo(server):
    graph = Clips()
    size = dict(frames=2, width=160, height=96)
    drives = [graph.ours("DemoDrive", style=style, **size) for style in ("synthetic", "photoreal.day")]
    judged = [graph.ours("VideoMetrics", source=drives[0], output=node, critic=True)[4] for node in drives]
    texts = [graph.text(node) for node in judged]
    outputs = server.run(graph)
    synthetic, photo = (float(outputs[node]["text"][0]) for node in texts)
    assert 0 <= synthetic < 0.1 and 0.9 < photo <= 1


def test_compare_shows_every_clip_in_its_place_and_says_what_it_resized(server):
    graph = Clips()
    clips = [graph.noise(7, seed=0), graph.noise(7, seed=1), graph.flat(7, height=64, width=96, value=0.25)]
    node = graph.ours("Compare", clip_1=clips[0], clip_2=clips[1], clip_3=clips[2], label_2="source", columns=3)
    files = [graph.file(node[0]), graph.file(node[1])]
    outputs = server.run(graph)
    (joined,), (sheet,) = (images(outputs, file) for file in files)
    assert joined.shape == (7, 32 + LABEL_HEIGHT, 3 * 48 + 2 * GAP, 3) and len(sheet) == 1
    for i, wanted in enumerate((noise(7, seed=0), noise(7, seed=1), torch.full((7, 32, 48, 3), 0.25))):
        left = i * (48 + GAP)
        assert torch.allclose(joined[:, LABEL_HEIGHT:, left : left + 48], wanted, atol=1e-6)
    assert not torch.equal(joined[0, :LABEL_HEIGHT, :48], joined[0, :LABEL_HEIGHT, 48 + GAP : 96 + GAP]), "same label"
    assert sheet.shape[1:] == (3 * (64 + GAP + LABEL_HEIGHT) + GAP, 3 * (96 + GAP) + GAP, 3)
    assert "clip_3 was resized from 96x64 to 48x32" in outputs[node]["text"][0]


def test_enhance_realism_is_the_cores_job(server):
    graph = Clips()
    node = graph.ours("DemoDrive", frames=21, width=160, height=96)  # two windows
    maps = {name: node[1 + i] for i, name in enumerate(CONTROLS)}
    done = graph.ours("EnhanceRealism", frames=node, description=node[4], **maps)
    file, report = graph.file(done[0]), graph.text(done[1])
    outputs = server.run(graph)
    (found,) = images(outputs, file)
    clip, made = drive(21, (96, 160))
    model = load_video_model()
    settings = dials(0.5, 0.5, model.preset)
    settings = replace(resolve(settings, model.preset, clip.scene["description"]), steps=6)
    wanted, _ = enhance(clip.rgb, model, settings, maps=made)
    assert found.shape == clip.rgb.shape and float((found - wanted).abs().max()) < 1e-3
    assert float((found - clip.rgb).abs().mean()) > 0.02
    told = json.loads(outputs[report]["text"][0])
    assert told["settings"] == settings.to_dict()
    assert len(told["windows"]) == 2 and told["notes"] == []


def test_enhance_realism_with_one_wire_repeats_and_says_what_it_did_without(server):
    graph = Clips()
    node = graph.ours("DemoDrive", frames=3, width=160, height=96)
    prompt, options = "a photorealistic dashcam video, at night, street lights", dict(realism=0.8, faithfulness=0.25)
    done = graph.ours("EnhanceRealism", frames=node, prompt=prompt, **options)
    file = graph.file(done[0])
    outputs = server.run(graph)
    (found,) = images(outputs, file)
    said = outputs[done]["text"][0]
    assert found.shape == (3, 96, 160, 3) and bool(found.isfinite().all())
    # With models/perception there, or without.
    own = "models/perception/depth" in said
    assert own or "No depth and no segmentation" in said
    controls = "controls: edge 0.33, depth 0.33, segmentation 0.33\n" if own else "controls: edge 1\n"
    for part in ("3 frames in 1 window ", controls, prompt, "repeated 2 times"):
        assert part in said
    server.forget()
    (again,) = images(server.run(graph), file)
    assert torch.equal(again, found)


def cancel(server, graph):
    """Queues, interrupts once it runs, and gives the names of the messages of its end."""
    prompt_id = server.queue(graph)
    while not server.get("/queue")["queue_running"]:
        time.sleep(0.1)
    time.sleep(1)
    server.interrupt()
    return [name for name, _ in server.wait(prompt_id, 60)["status"]["messages"]]


def test_a_render_and_a_job_stop_where_they_are(server):
    render_forever = Clips()
    render_forever.file(render_forever.ours("DemoDrive", frames=4096, width=320, height=192))
    assert "execution_interrupted" in cancel(server, render_forever)
    enhance_forever = Clips()
    frames = enhance_forever.noise(200, 96, 160)
    enhance_forever.file(enhance_forever.ours("EnhanceRealism", frames=frames, steps=1000))
    assert "execution_interrupted" in cancel(server, enhance_forever)
    assert server.run({"1": {"class_type": "VRTestFlatImages", "inputs": dict(frames=1, height=8, width=8, channels=3,
                       value=0.5)}, "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}})  # fmt: skip


def stitch(graph, frames=12, cut=None, **plan):
    """A stitcher fed with the chunks of one plan and, where `plan` says so, the text of another."""
    one = graph.ours("ChunkPlan", frames=graph.noise(frames))
    two = graph.ours("ChunkPlan", frames=graph.noise(frames), **plan) if plan else one
    chunks = graph.add("ImageFromBatch", image=one[0], batch_index=0, length=cut) if cut else one[0]
    return graph.ours("ChunkStitcher", chunks=chunks, plan=two[5])


WRONG = {
    "an empty clip to cut": (
        lambda g: g.ours("ChunkPlan", frames=g.flat(0)),
        "frames is an empty clip but at least one frame is needed: connect another clip to frames.",
    ),
    "an empty clip to map": (lambda g: g.ours("StructureMaps", frames=g.flat(0)), "frames is an empty clip"),
    "an empty clip to enhance": (lambda g: g.ours("EnhanceRealism", frames=g.flat(0)), "frames is an empty clip"),
    "an empty clip to measure": (
        lambda g: g.ours("VideoMetrics", source=g.flat(), output=g.flat(0)),
        "output is an empty clip",
    ),
    "an empty clip to show": (lambda g: g.ours("Compare", clip_1=g.flat(0)), "clip_1 is an empty clip"),
    "an alpha channel": (lambda g: g.ours("Compare", clip_1=g.flat(channels=4)), "The clip_1 came as"),
    "values beyond white": (lambda g: g.ours("StructureMaps", frames=g.flat(value=1.5)), "Frame 0 of the frames has"),
    "a map of another length": (
        lambda g: g.ours("ChunkPlan", frames=g.noise(12), depth=g.noise(9)),
        "depth has 9 frames and frames has 12: connect a clip of 12 to depth.",
    ),
    "a window that is no window": (
        lambda g: g.ours("ChunkPlan", frames=g.noise(12), window=6),
        "window is 6 but must be 1 + k x 4 frames, such as 5 or 9: change window.",
    ),
    "an overlap as long as the window": (
        lambda g: g.ours("ChunkPlan", frames=g.noise(12), overlap=5),
        "overlap is 5 but must be from 0 to 1",
    ),
    "thresholds the wrong way round": (
        lambda g: g.ours("StructureMaps", frames=g.flat(), edge_low=300.0),
        "give 0 < low <= high",
    ),
    "a text that is no plan": (
        lambda g: g.ours("ChunkStitcher", chunks=g.noise(), plan=g.ours("DemoDrive")[4]),
        "The plan is not a text that Chunk Plan wrote: connect its plan output to plan.",
    ),
    "another number of chunks": (
        lambda g: stitch(g, window=9),
        "3 chunks came and the plan has 2: connect chunks and plan to the same Chunk Plan.",
    ),
    "chunks that lost frames": (lambda g: stitch(g, cut=4), "Chunk 1 has 4 frames and the plan 5: change the nodes"),
    "clips of other lengths to show": (
        lambda g: g.ours("Compare", clip_1=g.noise(5), clip_2=g.noise(6)),
        "clip_2 has 6 frames and clip_1 has 5",
    ),
    "clips of other lengths to measure": (
        lambda g: g.ours("VideoMetrics", source=g.noise(5), output=g.noise(6)),
        "The source has 5 frames of 32x48 and the output 6 of 32x48",
    ),
    "clips of other sizes to measure": (
        lambda g: g.ours("VideoMetrics", source=g.noise(5), output=g.noise(5), reference=g.noise(5, height=40)),
        "The reference has 5 frames of 40x48",
    ),
    "a map of another clip": (
        lambda g: g.ours("EnhanceRealism", frames=g.noise(5), depth=g.noise(6)),
        "The depth map has 6 frames of 48x32 and the clip 5 of 48x32: change depth",
    ),
    "a map of another size": (
        lambda g: g.ours("EnhanceRealism", frames=g.noise(5), segmentation=g.noise(5, width=64)),
        "The segmentation map has 5 frames of 64x32",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_in_one_sentence(server, name):
    build, sentence = WRONG[name]
    graph = Clips()
    node = build(graph)
    graph.file(node[0])
    error = error_of(server, graph)
    assert sentence in error.exception_message and "\n" not in error.exception_message
    assert error.exception_type == "UserError" and error.node_id == node


MISSING = """
import asyncio, sys
sys.argv = ["main.py", "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import utils.install_util  # as main.py does: nodes.py of 0.3.64 puts comfy/ first, and its utils.py
import importlib.util, nodes
assert asyncio.run(nodes.load_custom_node(sys.stdin.readline().strip()))
found = importlib.util.find_spec
drive = nodes.NODE_CLASS_MAPPINGS["VideoRealismDemoDrive"]
packages = sys.modules[drive.__module__.rsplit(".", 2)[0] + ".shared.packages"]
packages.find_spec = lambda name: None if name == "kornia" else found(name)
try:
    drive.execute(scene_seed=1, frames=1, width=32, height=32, style="synthetic", fps=24.0)
except ValueError as error:
    print("said:", error)
"""


def test_a_node_without_its_package_says_what_to_install(comfyui):
    folder, python = comfyui
    run = subprocess.run(
        [python, "-c", MISSING],
        cwd=folder,
        env={**environment(), "PYTHONPATH": str(folder)},
        input=f"{ROOT}\n",
        capture_output=True,
        text=True,
    )
    assert "said: This node needs the Python package kornia, which is not installed" in run.stdout, run.stderr[-3000:]
