"""The embedded model in a graph, with tensors of a test at hand."""

import hashlib
import json

import numpy as np
import torch
from comfy_server import Graph

from pipeline_core.conditions.edges import edge_map

FRAMES, SIZE = 9, (32, 48)
CELLS = (3, 4, 6)
SIGMAS = [80.0, 1.0, 0.05]
PROMPTS = ("a photorealistic dashcam video", "flat shading")
MODALITIES = ("edge", "depth", "segmentation")


def draw(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def clip(seed, frames=FRAMES, size=SIZE):
    return torch.rand(frames, *size, 3, generator=torch.Generator().manual_seed(seed))


MAPS = {
    "edge": edge_map(clip(1))[..., None].expand(-1, -1, -1, 3).float().contiguous(),
    "depth": clip(2),
    "segmentation": clip(3).round(),
}


class Scene(Graph):
    """A graph with the embedded model, two prompts, and tensors of the test at hand."""

    def __init__(self, server, precision="fp32"):
        super().__init__()
        self.server = server
        self.loaded = self.add("VideoRealismLoadVideoModel", model="embedded", precision=precision)
        self.model, self.clip, self.vae = (self.loaded[i] for i in range(3))
        self.prompts = [self.add("CLIPTextEncode", clip=self.clip, text=text)[0] for text in PROMPTS]

    def tensor(self, values):
        """A node whose outputs 0 to 3 are the tensor as IMAGE, LATENT, NOISE and SIGMAS."""
        # Named by what is in it: the server caches the node by its inputs.
        name = hashlib.sha256(values.numpy().tobytes() + repr(values.shape).encode()).hexdigest()
        np.save(self.server.base / "input" / f"{name}.npy", values.numpy())
        return self.add("VRTestTensorFile", name=name)

    def control(self, modality, map=None, strength=1.0, start=0.0, end=1.0, mask=None, **optional):
        branch = self.add("VideoRealismLoadControlBranch", modality=modality, model="embedded")
        if mask is not None:
            branch = self.add("VRTestMaskedControl", control_net=branch, mask=self.mask(mask))
        inputs = dict(zip(("positive", "negative"), self.prompts), strength=strength, **optional)
        image = self.tensor(MAPS[modality] if map is None else map)
        percents = dict(start_percent=start, end_percent=end)
        node = self.add("ControlNetApplyAdvanced", control_net=branch, image=image, **percents, **inputs)
        self.prompts = [node[0], node[1]]

    def mask(self, values):
        image = self.tensor(values[..., None].expand(*values.shape, 3).contiguous())
        return self.add("ImageToMask", image=image, channel="red")

    def empty(self, frames=FRAMES):
        height, width = SIZE
        return self.add("EmptyHunyuanLatentVideo", width=width, height=height, length=frames, batch_size=1)[0]

    def ksampler(self, latent, positive=None, negative=None, scheduler="karras", steps=2, cfg=2.0):
        plan = dict(seed=5, steps=steps, cfg=cfg, sampler_name="euler", scheduler=scheduler, denoise=1.0)
        prompts = dict(positive=positive or self.prompts[0], negative=negative or self.prompts[1])
        return self.add("KSampler", model=self.model, latent_image=latent, **prompts, **plan)

    def custom(self, latent, noise, sigmas, sampler, cfg):
        guider = self.add("CFGGuider", model=self.model, positive=self.prompts[0], negative=self.prompts[1], cfg=cfg)
        inputs = dict(noise=noise, guider=guider, sampler=sampler, sigmas=sigmas, latent_image=latent)
        return self.add("SamplerCustomAdvanced", **inputs)

    def predictions(self, x0, noise, cfg=3.0):
        """Clean predictions at SIGMAS, and the batch sizes of the network's calls."""
        seen = self.add("VRTestBatchSizes", model=self.model)
        self.model = seen[0]
        sigmas = self.tensor(torch.tensor([*SIGMAS, 0.0]))[3]
        sampler = self.add("VRTestAskAtSigmas")
        answer = self.custom(self.tensor(x0)[1], self.tensor(noise)[2], sigmas, sampler, cfg)
        saved = self.add("VRTestSaveTensor", value=answer)
        sizes = self.add("VRTestReadBatchSizes", log=seen[1], after=answer)
        outputs = self.server.run(self)
        return values(outputs, saved).split(1), json.loads(outputs[sizes]["text"][0])


def values(outputs, node):
    return torch.from_numpy(np.load(outputs[node]["text"][0]))
