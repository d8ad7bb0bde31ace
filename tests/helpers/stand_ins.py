"""Small stand-ins for the loaders of shipped graphs; the wires stay."""

from shipped_graphs import node_of
from transfer1_plain import TEXT

# What stands for each loader, the smallest clip, and how many files the graph names.
FAMILIES = {
    "wan21_vace": dict(model="VRTestTinyWanVACE", options={}, vae="wan", frames=9, size=(96, 64), files=3),
    "wan22_fun_control": dict(
        model="VRTestTinyWanFun", options={"version": "2.2"}, vae="wan", frames=9, size=(96, 64), files=4
    ),
    "ltx_ic_lora": dict(model="VRTestTinyLTXV", options={}, vae="frame", frames=17, size=(128, 96), files=3),
    "sd15_controlnet": dict(
        model="VRTestTinySD15", options={"prediction": "eps"}, vae="taesd", frames=3, size=(96, 64), files=3
    ),
}
# The same of graphs that invert nothing; their noise is of step t0 of 1000, calibrated in so many rounds.
PICTURES = {
    name: {**FAMILIES["sd15_controlnet"], "files": 1, "rounds": rounds, "t0": t0}
    for name, rounds, t0 in (("stroke_painting", 3, 600), ("image_refiner", 1, 300))
}


def tiny(graph, family):
    """Put stand-ins in the place of the loaders and cut the clip small; the wires stay."""
    made = {"seed": 1, "text_dim": 32}
    for node_id, node in list(graph.items()):
        kind, inputs = node["class_type"], node["inputs"]
        if kind in ("UNETLoader", "CheckpointLoaderSimple"):
            seed = 2 if "low_noise" in inputs.get("unet_name", "") else 1
            node.update(class_type=family["model"], inputs={**made, **family["options"], "seed": seed})
            if kind == "CheckpointLoaderSimple":
                rewire(graph, [node_id, 2], [add_vae(graph, family), 0])
        elif kind == "VAELoader":
            node.update(class_type="VRTestTinyVAE", inputs={"seed": 1, "kind": family["vae"]})
        elif kind == "LoraLoaderModelOnly":
            rewire(graph, [node_id, 0], inputs["model"])
            del graph[node_id]
        elif kind == "ControlNetLoader":
            node.update(class_type="VRTestTinyControlNet", inputs=made)
        elif kind == "CLIPTextEncode":
            text = {"dim": 32, "tokens": 8, "text": True, "seed": int(node_id.split(":")[-1])}
            node.update(class_type="VRTestRandomConditioning", inputs=text)
            if family["model"] == "VRTestTinyLTXV":
                padded = {
                    "class_type": "VRTestPaddedText",
                    "inputs": {"conditioning": [node_id, 0]},
                    "_meta": {"title": node_id},
                }
                rewire(graph, [node_id, 0], [f"padded{node_id}", 0])
                graph[f"padded{node_id}"] = padded
        elif kind == "CLIPLoader":
            del graph[node_id]
        elif kind == "ImageScale":
            inputs.update(width=family["size"][0], height=family["size"][1])
        elif kind == "ImageFromBatch":
            inputs["length"] = family["frames"]
        elif kind == "VideoRealismModelPreset" and family["model"] == "VRTestTinySD15":
            # Too small to be told from another UNet: the levels of the real one.
            grid = {"steps": 21, "sigma_max": 14.6146, "sigma_min": 0.0292, "rho": 7.0}
            node.update(class_type="KarrasScheduler", inputs=grid)
        elif kind == "VideoRealismDDIMInvert":
            inputs["measure_round_trip"] = True


def rewire(graph, old, new):
    for node in graph.values():
        for name, value in node["inputs"].items():
            if value == old:
                node["inputs"][name] = new


def add_vae(graph, family):
    inputs = {"seed": 1, "kind": "taesd"}
    kind = "VRTestTinyVAE"
    if family["vae"] == "frame":
        kind, inputs = "VRTestFrameVAE", {"channels": 128, "temporal": 8, "spatial": 32, "number": 0}
    graph["vae"] = {"class_type": kind, "inputs": inputs, "_meta": {"title": "vae"}}
    return "vae"


def tiny_transfer1(graph, frames, size=(96, 64)):
    """Put the small files of `transfer1_scene.install` in the place of the named ones and cut the clip small."""
    text = {"dim": TEXT, "tokens": 8, "text": True}
    source = node_of(graph, "VideoRealismStructureMaps")
    for node_id, node in list(graph.items()):
        kind, inputs = node["class_type"], node["inputs"]
        if kind == "UNETLoader":
            node.update(class_type="VRTestTinyTransfer1Base", inputs={"name": "tiny_base.safetensors", "dtype": "fp32"})
        elif kind == "VAELoader":
            node.update(class_type="VRTestTinyCosmosVAE", inputs={"seed": 3})
        elif kind == "CLIPTextEncode":
            node.update(class_type="VRTestRandomConditioning", inputs={**text, "seed": int(node_id.split(":")[-1])})
        elif kind == "CLIPLoader":
            del graph[node_id]
        elif kind == "VideoRealismLoadTransfer1Control":
            inputs["control_file"] = inputs["control_file"].removeprefix("cosmos_transfer1_")
        elif kind == "VideoRealismControlNetStack":
            inputs["map"] = [source, 0]  # there is no depth or segmentation model here
        elif kind == "ImageScale":
            inputs.update(width=size[0], height=size[1])
        elif kind == "ImageFromBatch":
            inputs["length"] = frames
