"""A tiny SD 1.5 model under ControlNet Condition Stack, and what its controls give."""

import json

import torch
from comfy_server import Graph

STACK = "VideoRealismControlNetStack"
DEFAULTS = {
    "VRTestTinySD15": dict(seed=0, text_dim=32, prediction="eps"),
    "VRTestTinyControlNet": dict(seed=0, text_dim=32),
    "VRTestRandomConditioning": dict(dim=32, tokens=8, text=True),
    "VRTestRandomLatent": dict(channels=4, frames=0, height=8, width=8, seed=0, scale=1.0),
    "VRTestReadControl": dict(size=4, branches=2, percent=0.5, windows=""),
}

STRUCTURE = dict(edge_low=100.0, edge_high=200.0, depth_model="none", segmentation_model="none")


class Scene(Graph):
    """A graph with a tiny SD 1.5 model, three prompts of one length, and the stack node at hand."""

    def __init__(self, frames=2, control="VRTestLinearControl"):
        super().__init__()
        self.frames = frames
        self.model = self.add("VRTestTinySD15")
        self.prompts = [self.add("VRTestRandomConditioning", seed=seed)[0] for seed in range(3)]
        self.control = self.add(control)

    def add(self, class_type, **inputs):
        return super().add(class_type, **{**DEFAULTS.get(class_type, {}), **inputs})

    def map(self, seed=0, frames=None, size=32):
        return self.add("VRTestRandomImages", frames=frames or self.frames, height=size, width=size, seed=seed)

    def stack(self, prompts=None, map=None, weight=1.0, start=0.0, end=1.0, **optional):
        """The new positive, negative and, where there were three, inversion."""
        prompts = prompts or self.prompts[:2]
        named = dict(zip(("positive", "negative", "inversion"), prompts))
        percents = dict(start_percent=start, end_percent=end)
        named.update(control_net=self.control, map=map or self.map())
        self.node = self.add(STACK, weight=weight, **percents, **named, **optional)
        return [self.node[i] for i in range(len(prompts))]

    def native(self, prompts, map, strength, start=0.0, end=1.0):
        inputs = dict(positive=prompts[0], negative=prompts[1], control_net=self.control, image=map, strength=strength)
        node = self.add("ControlNetApplyAdvanced", start_percent=start, end_percent=end, **inputs)
        return [node[0], node[1]]

    def read(self, conditioning, **inputs):
        return self.add("VRTestReadControl", model=self.model, conditioning=conditioning, frames=self.frames, **inputs)

    def sample(self, prompts, model=None, steps=2):
        latent = self.add("VRTestRandomLatent", batch=self.frames)
        plan = dict(seed=1, steps=steps, cfg=3.0, sampler_name="euler", scheduler="normal", denoise=1.0)
        inputs = dict(model=model or self.model, positive=prompts[0], negative=prompts[1], latent_image=latent)
        return self.add("KSampler", **inputs, **plan)


def value(outputs, node):
    return json.loads(outputs[node]["text"][0])


def tensors(outputs, node, window=0):
    """{"input": (B, h, w), "middle": (B, h / 2, w / 2), "output": (B, h, w)} of the control known in closed form."""
    found = value(outputs, node)[window]
    fine, middle, tokens = (torch.tensor(found[key][-1]) for key in ("input", "middle", "output"))
    assert found["output"][0] is None
    return {"input": fine[:, 0], "middle": middle[:, 0], "output": tokens.unflatten(1, fine.shape[-2:])[..., 0]}


def same(found, wanted, factor=1.0):
    return all(torch.allclose(found[key], wanted[key] * factor, atol=1e-6) for key in wanted)


def half_mask(scene, size=32):
    """White on the left half of one frame."""
    black = scene.add("SolidMask", value=0.0, width=size, height=size)
    white = scene.add("SolidMask", value=1.0, width=size // 2, height=size)
    return scene.add("MaskComposite", destination=black, source=white, x=0, y=0, operation="add")
