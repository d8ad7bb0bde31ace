"""Tiny models with a control input of their own, and what their networks see of a map whose frames are numbered."""

import json

import pytest
from comfy_server import Graph

STACK = "VideoRealismControlNetStack"
FRAMES, LATENT = 53, 14  # of the clip and of its latent: windows of 4, 4, 4 and 2
WINDOWS = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13]]
KINDS = {
    "vace": ("VRTestTinyWanVACE", {}, {"channels": 16, "frames": 3}, {}),
    "fun-2.1": ("VRTestTinyWanFun", {"version": "2.1"}, {"channels": 16, "frames": 3}, {}),
    "fun-2.2": ("VRTestTinyWanFun", {"version": "2.2"}, {"channels": 16, "frames": 3}, {}),
    "ltxv": ("VRTestTinyLTXV", {}, {"channels": 128, "frames": 3}, dict(channels=128, temporal=8, spatial=32)),
}


class Scene(Graph):
    """A tiny model, its watcher, its own control, two prompts and a VAE whose latents can be read."""

    def __init__(self, kind, frames=3):
        super().__init__()
        class_type, options, size, vae = KINDS[kind]
        self.ratio = vae.get("temporal", 4)
        self.pixels, self.clip = (frames - 1) * self.ratio + 1, 8 * vae.get("spatial", 8)
        self.watched = self.add("VRTestWatchNetwork", model=self.add(class_type, seed=1, text_dim=32, **options))
        self.model = self.watched[0]
        self.control = self.add("VideoRealismModelControl", model=self.model)
        self.vae = self.add("VRTestFrameVAE", **{**dict(channels=16, temporal=4, spatial=8, number=0), **vae})
        text = dict(dim=32, tokens=8, text=True)
        self.prompts = [self.add("VRTestRandomConditioning", **text, seed=seed)[0] for seed in (1, 2)]
        if kind == "ltxv":
            self.prompts = [self.add("VRTestPaddedText", conditioning=prompt)[0] for prompt in self.prompts]
        shape = {**size, "frames": frames, "height": 8, "width": 8}
        self.latent = self.add("VRTestRandomLatent", batch=1, seed=7, scale=1.0, **shape)

    def map(self, offset=0.0, frames=None):
        return self.add("VRTestFrameNumbers", frames=frames or self.pixels, size=self.clip, offset=offset)

    def stack(self, map, prompts=None, weight=1.0, start=0.0, end=1.0, **optional):
        prompts = prompts or self.prompts
        named = dict(positive=prompts[0], negative=prompts[1], control_net=self.control, map=map, vae=self.vae)
        node = self.add(STACK, weight=weight, start_percent=start, end_percent=end, **named, **optional)
        return [node[0], node[1]]

    def sampled(self, prompts, model=None, steps=2):
        plan = dict(seed=3, steps=steps, cfg=4.0, sampler_name="euler", scheduler="simple", denoise=1.0)
        inputs = dict(model=model or self.model, positive=prompts[0], negative=prompts[1], latent_image=self.latent)
        return self.add("KSampler", **inputs, **plan)

    def windowed(self, length=4, overlap=0, schedule="batched", lead_in=False):
        known = self.info["input"]
        inputs = {name: kind[-1].get("default") for group in known.values() for name, kind in group.items()}
        inputs.update(model=self.model, context_length=length, context_overlap=overlap, context_schedule=schedule)
        if "causal_window_fix" in inputs:
            inputs["causal_window_fix"] = lead_in
        return self.add("ContextWindowsManual", **{**inputs, "fuse_method": "flat", "dim": 2})

    def seen(self, after):
        return self.add("VRTestReadSeen", log=self.watched[1], after=after)

    def compare(self, found, wanted):
        return self.add("VRTestCompareLatents", latent=found, reference=wanted)


def scene_with_windows(server, kind):
    scene = Scene(kind, LATENT)
    scene.info = server.object_info("ContextWindowsManual")["ContextWindowsManual"]
    return scene


def value(outputs, node):
    return json.loads(outputs[node]["text"][0])


def levels(numbers, ratio=4, offset=0.0):
    """Brightness of the pixel frames that these latent frames end with."""
    return pytest.approx([number * ratio / 100 + offset for number in numbers], abs=1e-4)


def seen_by(scene, prompts, model=None):
    scene.log = scene.seen(scene.sampled(prompts, model))
    return scene
