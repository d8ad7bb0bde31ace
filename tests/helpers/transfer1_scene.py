"""Graphs on a tiny Cosmos-Transfer1 whose files went through the converter, and the same in plain torch."""

import torch
from comfy_server import Graph
from embedded_scene import SIGMAS, Scene, draw, values
from transfer1_plain import TEXT, base_weights, control_weights, denoised, released, wide

from pipeline_core.__main__ import main

FRAMES, SIZE, CELLS = 17, (32, 48), (3, 4, 6)
SEEDS = {"edge": 11, "depth": 12, "seg": 13}
BASE = 7
STRENGTHS = {"edge": 0.5, "depth": 0.45, "seg": 0.8}


def install(server, folder):
    """The released files in `folder`, and converted in the server's model folders."""
    states = {f"{name}_control": released(control_weights(seed), "net.") for name, seed in SEEDS.items()}
    states["tiny_base"] = released(base_weights(BASE), "base_model.net.")
    for name, state in states.items():
        torch.save(state, folder / f"{name}.pt")
        target = server.base / "models" / ("diffusion_models" if name == "tiny_base" else "controlnet")
        target.mkdir(parents=True, exist_ok=True)
        assert main(["convert", str(folder / f"{name}.pt"), "-o", str(target / f"{name}.safetensors")]) == 0


def clip(seed):
    return torch.rand(FRAMES, *SIZE, 3, generator=torch.Generator().manual_seed(seed))


def soft_mask(seed):
    return torch.rand(FRAMES, *SIZE, generator=torch.Generator().manual_seed(seed))


MAPS = {name: clip(seed) for name, seed in SEEDS.items()}


class Transfer1(Scene):
    """A graph with the tiny base, its VAE and two random prompts."""

    def __init__(self, server, dtype="fp32"):
        Graph.__init__(self)
        self.real_server, self.base, self.server = server, server.base, self
        self.model = self.add("VRTestTinyTransfer1Base", name="tiny_base.safetensors", dtype=dtype)
        self.vae = self.add("VRTestTinyCosmosVAE", seed=3)
        text = {"dim": TEXT, "tokens": 8, "text": True}
        self.prompts = [self.add("VRTestRandomConditioning", seed=seed, **text)[0] for seed in (1, 2)]
        self.texts = [self.add("VRTestSaveTensor", value=prompt) for prompt in self.prompts]

    def branch(self, name, weight_dtype="default"):
        file = f"{name}_control.safetensors"
        return self.add("VideoRealismLoadTransfer1Control", control_file=file, weight_dtype=weight_dtype)

    def apply(self, name, strength, image=None, **options):
        """Native Apply ControlNet."""
        values = {"vae": self.vae, "strength": strength, "start_percent": 0.0, "end_percent": 1.0, **options}
        values |= dict(zip(("positive", "negative"), self.prompts))
        image = self.tensor(MAPS[name] if image is None else image)
        node = self.add("ControlNetApplyAdvanced", control_net=self.branch(name), image=image, **values)
        self.prompts = [node[0], node[1]]

    def stack(self, name, weight, mask=None):
        """ControlNet Condition Stack."""
        values = {"vae": self.vae, "weight": weight, "start_percent": 0.0, "end_percent": 1.0}
        values |= dict(zip(("positive", "negative"), self.prompts))
        if mask is not None:
            values["weight_mask"] = self.mask(mask)
        node = self.add(
            "VideoRealismControlNetStack", control_net=self.branch(name), map=self.tensor(MAPS[name]), **values
        )
        self.prompts = [node[0], node[1]]

    def hint(self, name):
        """The map as the VAE's latent, to be read after a run."""
        return self.add("VRTestSaveTensor", value=self.add("VAEEncode", pixels=self.tensor(MAPS[name]), vae=self.vae))

    def run(self, graph):
        """Stands in for the server where a Scene runs itself: the outputs of all nodes are kept."""
        self.outputs = self.real_server.run(graph)
        return self.outputs


def answers(scene, cfg, hints=()):
    """(clean predictions at SIGMAS, batch sizes, the texts, {name: hint latent}) of the scene's model and prompts."""
    x0, noise = draw(1, 1, 16, *CELLS), draw(2, 1, 16, *CELLS)
    hints = {name: scene.hint(name) for name in hints}
    found, sizes = scene.predictions(x0, noise, cfg)
    texts = [values(scene.outputs, node).double() for node in scene.texts]
    return found, sizes, texts, {name: values(scene.outputs, node).double() for name, node in hints.items()}


def transcribed(controls, texts, cfg, fps=None):
    """D_u + cfg (D_c - D_u) at SIGMAS of [(name, hint, weight)], in float64."""
    base = wide(base_weights(BASE))
    controls = [(wide(control_weights(SEEDS[name])), hint, weight) for name, hint, weight in controls]
    x0, noise = draw(1, 1, 16, *CELLS), draw(2, 1, 16, *CELLS)
    for sigma in torch.tensor(SIGMAS).tolist():
        x = (x0 + torch.tensor(sigma) * noise).double()
        conditioned = denoised(base, controls, x, sigma, texts[0], fps)
        if cfg == 1:
            yield conditioned
        else:
            unconditioned = denoised(base, controls, x, sigma, texts[1], fps)
            yield unconditioned + cfg * (conditioned - unconditioned)


def worst(found, wanted):
    """Largest difference over the largest value, over all noise levels."""
    return max(float((f - w).abs().max() / w.abs().max()) for f, w in zip(found, wanted, strict=True))
