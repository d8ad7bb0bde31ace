"""Graphs on the tiny native models that several tests run: sampling, inversion and guidance."""

from comfy_server import Graph

VIDEO = {"channels": 16, "frames": 3, "height": 8, "width": 8}
IMAGE = {"channels": 4, "frames": 0, "height": 8, "width": 8}
MODELS = {
    "wan": ("VRTestTinyWan", {}, VIDEO),
    "vace": ("VRTestTinyWanVACE", {}, VIDEO),
    "cosmos-flow": ("VRTestTinyCosmos", {"kind": "predict2"}, VIDEO),
    "cosmos-edm": ("VRTestTinyCosmos", {"kind": "predict1"}, VIDEO),
    "sd15-eps": ("VRTestTinySD15", {"prediction": "eps"}, IMAGE),
    "sd15-v": ("VRTestTinySD15", {"prediction": "v"}, IMAGE),
}


def sampling_graph(name, seed=3, steps=3, control=False):
    """KSampler on a tiny model; node ids of the read-outs are in graph.statistics and graph.sizes."""
    class_type, options, size = MODELS[name]
    graph = Graph()
    model = graph.add("VRTestBatchSizes", model=graph.add(class_type, seed=1, text_dim=32, **options))
    positive, negative = (graph.add("VRTestRandomConditioning", dim=32, tokens=8, seed=s, text=True)[0] for s in (1, 2))
    latent = graph.add("VRTestRandomLatent", batch=1, seed=7, scale=0.0, **size)
    if control:
        net = graph.add("VRTestTinyControlNet", seed=1, text_dim=32)
        hint = graph.add("VRTestRandomImages", frames=1, height=64, width=64, seed=4)
        applied = graph.add(
            "ControlNetApplyAdvanced",
            positive=positive,
            negative=negative,
            control_net=net,
            image=hint,
            strength=1.0,
            start_percent=0.0,
            end_percent=1.0,
        )
        positive, negative = applied[0], applied[1]
    sampled = graph.add(
        "KSampler",
        title="Sampler",
        model=model,
        seed=seed,
        steps=steps,
        cfg=5.0,
        sampler_name="euler",
        scheduler="simple",
        positive=positive,
        negative=negative,
        latent_image=latent,
        denoise=1.0,
    )
    graph.statistics = graph.add("VRTestStatistics", value=sampled)
    graph.sizes = graph.add("VRTestReadBatchSizes", log=model[1], after=sampled)
    return graph


STEPS = 20


def start(name, scale=1.0, seed=7):
    """(graph, model with batch log, three conditionings, latent of about unit spread, sigmas) on a tiny model."""
    class_type, options, size = MODELS[name]
    scale = scale / 0.18215 if name.startswith("sd15") else scale  # SD1.5's latents are scaled on the way in
    graph = Graph()
    model = graph.add("VRTestBatchSizes", model=graph.add(class_type, seed=1, text_dim=32, **options))
    texts = [graph.add("VRTestRandomConditioning", dim=32, tokens=8, seed=s, text=True)[0] for s in (1, 2, 3)]
    latent = graph.add("VRTestRandomLatent", batch=1, seed=seed, scale=scale, **size)
    sigmas = graph.add("BasicScheduler", model=model, scheduler="simple", steps=STEPS, denoise=1.0)
    return graph, model, texts, latent, sigmas


def invert(graph, model, text, latent, sigmas, method="exact", round_trip=False):
    return graph.add(
        "VideoRealismDDIMInvert",
        title="Invert",
        model=model,
        inversion=text,
        latent=latent,
        sigmas=sigmas,
        method=method,
        measure_round_trip=round_trip,
    )


def sample(graph, noise, guider, sampler, sigmas, latent):
    return graph.add(
        "SamplerCustomAdvanced", noise=noise, guider=guider, sampler=sampler, sigmas=sigmas, latent_image=latent
    )


def dual_prompt(graph, model, positive, negative, cfg=1.0, inversion=None, **options):
    values = {"conflict_damping": 0.0, "rescale": 0.0, "start_percent": 0.0, "end_percent": 1.0, **options}
    if inversion is not None:
        values["inversion"] = inversion
    return graph.add(
        "VideoRealismDualPromptGuider", model=model, positive=positive, negative=negative, cfg=cfg, **values
    )


def text_of(outputs, node):
    return outputs[node]["text"][0]
