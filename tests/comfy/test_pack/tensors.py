"""Exact tensors into a graph and out of it, and a sampler that only asks the model what it sees."""

import json
import os
import tempfile

import comfy.samplers
import folder_paths
import numpy as np
import torch
from comfy_api.latest import io, ui

from .probes import schema


class TensorFile(io.ComfyNode):
    """Reads input/NAME.npy as an IMAGE, a LATENT, a NOISE and SIGMAS."""

    @classmethod
    def define_schema(cls):
        outputs = [io.Image.Output(), io.Latent.Output(), io.Noise.Output(), io.Sigmas.Output()]
        return schema("TensorFile", "a tensor from the input folder", [io.String.Input("name")], outputs)

    @classmethod
    def execute(cls, name):
        path = os.path.join(folder_paths.get_input_directory(), os.path.basename(name) + ".npy")
        values = torch.from_numpy(np.load(path))
        return io.NodeOutput(values, {"samples": values}, _Noise(values), values)


class _Noise:
    def __init__(self, values):
        self.values, self.seed = values, 0

    def generate_noise(self, latent):
        return self.values.clone()


class SaveTensor(io.ComfyNode):
    """Writes the values of a LATENT or the text of a CONDITIONING as .npy and says its path."""

    @classmethod
    def define_schema(cls):
        inputs = [io.MultiType.Input("value", [io.Latent, io.Conditioning])]
        return schema("SaveTensor", "exact values of a latent", inputs, [], is_output_node=True)

    @classmethod
    def execute(cls, value):
        tensor = value["samples"] if isinstance(value, dict) else value[0][0]
        handle, path = tempfile.mkstemp(".npy", dir=folder_paths.get_temp_directory())
        with os.fdopen(handle, "wb") as file:
            np.save(file, tensor.cpu().numpy())
        return io.NodeOutput(ui=ui.PreviewText(path))


class _Asker(comfy.samplers.Sampler):
    def sample(
        self, model_wrap, sigmas, extra_args, callback, noise, latent_image=None, denoise_mask=None, disable_pbar=False
    ):
        answers = []
        for sigma in sigmas[:-1]:
            mix = model_wrap.inner_model.model_sampling.noise_scaling
            x = mix(sigma[None], noise.clone(), latent_image.clone())
            answers.append(model_wrap(x, sigma * x.new_ones([len(x)]), **extra_args))
        return torch.cat(answers)


class AskAtSigmas(io.ComfyNode):
    """SAMPLER whose result is the guider's clean prediction of latent + noise at every sigma but the last, batched."""

    @classmethod
    def define_schema(cls):
        return schema("AskAtSigmas", "clean predictions at the sigmas", [], [io.Sampler.Output()])

    @classmethod
    def execute(cls):
        return io.NodeOutput(_Asker())


class _Watched(comfy.samplers.Sampler):
    def __init__(self, sampler):
        self.sampler = sampler

    def sample(self, model_wrap, sigmas, extra_args, callback, *args, **kwargs):
        states = []
        last = self.sampler.sample(
            model_wrap, sigmas, extra_args, lambda i, x0, x, total: states.append(x.clone()), *args, **kwargs
        )
        return torch.cat([*states[1:], last])


class WatchedSampler(io.ComfyNode):
    """SAMPLER whose result is the state of another SAMPLER after every step, batched."""

    @classmethod
    def define_schema(cls):
        inputs, outputs = [io.Sampler.Input("sampler")], [io.Sampler.Output()]
        return schema("WatchedSampler", "the state after every step", inputs, outputs)

    @classmethod
    def execute(cls, sampler):
        return io.NodeOutput(_Watched(sampler))


class _UniPC(comfy.samplers.Sampler):
    def __init__(self, config):
        self.config = config

    def sample(
        self, model_wrap, sigmas, extra_args, callback, noise, latent_image=None, denoise_mask=None, disable_pbar=False
    ):
        from diffusers import UniPCMultistepScheduler

        scheduler = UniPCMultistepScheduler(**self.config)
        scheduler.set_timesteps(len(sigmas) - 1)
        x, states = noise, []
        for time, sigma in zip(scheduler.timesteps, sigmas):
            t = sigma / (1 + sigma)
            clean = model_wrap(x * (1 + sigma), sigma * x.new_ones([len(x)]), **extra_args)
            x = scheduler.step((x - clean) / t, time, x, return_dict=False)[0]
            states.append(x)
        return torch.cat(states)


class UniPCSampler(io.ComfyNode):
    """SAMPLER that runs diffusers' UniPC on the flow state of a VE model, from the noise itself."""

    @classmethod
    def define_schema(cls):
        return schema("UniPCSampler", "diffusers' UniPC", [io.String.Input("config")], [io.Sampler.Output()])

    @classmethod
    def execute(cls, config):
        return io.NodeOutput(_UniPC(json.loads(config)))


class MaskFrames(io.ComfyNode):
    """A LATENT whose first frames are given."""

    @classmethod
    def define_schema(cls):
        inputs = [io.Latent.Input("latent"), io.Int.Input("frames"), io.Float.Input("rest", default=1.0)]
        return schema("MaskFrames", "given first frames", inputs, [io.Latent.Output()])

    @classmethod
    def execute(cls, latent, frames, rest=1.0):
        samples = latent["samples"]
        mask = torch.ones(1, 1, *samples.shape[2:])
        mask[:, :, :frames] = 0
        mask[..., -1] *= rest
        return io.NodeOutput({**latent, "noise_mask": mask})


class MaskedControl(io.ComfyNode):
    """A copy of a branch of Load Control Branch with a weight mask."""

    @classmethod
    def define_schema(cls):
        inputs = [io.ControlNet.Input("control_net"), io.Mask.Input("mask")]
        return schema("MaskedControl", "a control with a weight mask", inputs, [io.ControlNet.Output()])

    @classmethod
    def execute(cls, control_net, mask):
        return io.NodeOutput(control_net.copy().set_weight_mask(mask))


class CutLatent(io.ComfyNode):
    """Latent frames start .. start + length - 1 of a video latent."""

    @classmethod
    def define_schema(cls):
        inputs = [io.Latent.Input("latent"), io.Int.Input("start", default=0), io.Int.Input("length", default=1)]
        return schema("CutLatent", "some frames of a latent", inputs, [io.Latent.Output()])

    @classmethod
    def execute(cls, latent, start, length):
        return io.NodeOutput({"samples": latent["samples"][:, :, start : start + length]})


class CutNoise(io.ComfyNode):
    """The same frames of the noise for the whole latent `of`."""

    @classmethod
    def define_schema(cls):
        inputs = [io.Noise.Input("noise"), io.Latent.Input("of"), io.Int.Input("start"), io.Int.Input("length")]
        return schema("CutNoise", "some frames of a noise", inputs, [io.Noise.Output()])

    @classmethod
    def execute(cls, noise, of, start, length):
        return io.NodeOutput(_Noise(noise.generate_noise(of)[:, :, start : start + length]))


TENSORS = [
    CutLatent,
    CutNoise,
    TensorFile,
    SaveTensor,
    AskAtSigmas,
    WatchedSampler,
    UniPCSampler,
    MaskFrames,
    MaskedControl,
]
