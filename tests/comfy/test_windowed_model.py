"""Windowed Model under native nodes: samplers, inversion, calibration; ComfyUI's own windows where both cut alike."""

import json

import pytest
from long_video_graphs import (
    LATENTS,
    compared,
    euler_and_noise,
    long_sampler,
    resized,
    windowed,
)
from tiny_graphs import dual_prompt, invert, text_of
from tiny_graphs import sample as custom
from tiny_graphs import start as tiny


@pytest.mark.parametrize("handover", ["fused", "mean"])
def test_ddim_invert_and_native_sampling_on_a_windowed_model_retrace(server, handover):
    graph, model, (text, *_), latent, sigmas = tiny("wan")
    latent = resized(graph, latent, LATENTS, 2)
    network = windowed(graph, model, handover)
    found = invert(graph, network, text, latent, sigmas)
    guider = graph.add("BasicGuider", model=network, conditioning=text)
    back = custom(graph, found[0], guider, found[1], found[2], latent)
    error = compared(graph, back, latent)
    # Its NOISE and SAMPLER are of the whole latent, and cut window by window where the sampler goes so.
    plain = graph.add("BasicGuider", model=model, conditioning=text)
    long = long_sampler(graph, plain, latent, found[2], "none", noise=found[0], sampler=found[1])
    fused = long_sampler(graph, plain, latent, found[2], "fused", noise=found[0], sampler=found[1])
    finite = graph.add("VRTestStatistics", value=long[0])
    errors = [error] + ([compared(graph, fused[0], latent)] if handover == "fused" else [])
    outputs = server.run(graph)
    assert all(float(text_of(outputs, node)) < 1e-4 for node in errors)
    assert json.loads(text_of(outputs, finite))["finite"]


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "heun", "uni_pc", "dpm_2", "dpmpp_sde", "res_multistep"])
def test_every_kind_of_native_sampler_runs_and_fused_is_the_windowed_model(server, sampler):
    graph, model, (one, two, _), latent, sigmas = tiny("wan")
    latent = resized(graph, latent, LATENTS, 2)
    noise, solver = graph.add("RandomNoise", noise_seed=5), graph.add("KSamplerSelect", sampler_name=sampler)
    few = graph.add("SplitSigmas", sigmas=sigmas, step=14)[1]
    guider = dual_prompt(graph, model, one, two, cfg=2.0)
    native = dual_prompt(graph, windowed(graph, model), one, two, cfg=2.0)
    by_model = custom(graph, noise, native, solver, few, latent)
    by_node = long_sampler(graph, guider, latent, few, "fused", noise=noise, sampler=solver)
    error = compared(graph, by_node[0], by_model)
    handed = [long_sampler(graph, guider, latent, few, kind, noise=noise, sampler=solver) for kind in ("none", "mean")]
    finite = [graph.add("VRTestStatistics", value=node[0]) for node in handed]
    outputs = server.run(graph)
    assert float(text_of(outputs, error)) < 1e-5
    assert all(json.loads(text_of(outputs, node))["finite"] for node in finite)


def test_fused_windows_are_comfyuis_own_where_both_cut_alike(server):
    """Windows 0-3, 3-6, 6-9 with pyramid weights and no lead-in: Context Windows (Manual) does the same."""
    graph, model, (one, two, _), latent, sigmas = tiny("wan")
    latent = resized(graph, latent, 10, 2)
    theirs = {"context_length": 4, "context_overlap": 1, "context_schedule": "standard_static", "context_stride": 1}
    theirs |= {"closed_loop": False, "fuse_method": "pyramid", "dim": 2}
    known = server.object_info("ContextWindowsManual")["ContextWindowsManual"]["input"]
    newer = {"freenoise": False, "causal_window_fix": False}
    names = {**known["required"], **known.get("optional", {})}
    theirs |= {name: value for name, value in newer.items() if name in names}
    theirs |= {name: "" for name in ("cond_retain_index_list", "latent_retain_index_list") if name in names}
    theirs |= {name: False for name in ("split_conds_to_windows",) if name in names}
    native = graph.add("ContextWindowsManual", model=model, **theirs)
    ours = windowed(graph, model, window=4, overlap=1, temporal_ratio=1)
    noise, euler = euler_and_noise(graph)
    done = [
        custom(graph, noise, dual_prompt(graph, network, one, two, cfg=2.0), euler, sigmas, latent)
        for network in (native, ours)
    ]
    error = compared(graph, done[1], done[0])
    assert float(text_of(server.run(graph), error)) < 1e-5


def test_noise_is_calibrated_on_a_windowed_model(server):
    graph, model, (text, *_), latent, sigmas = tiny("wan")
    latent = resized(graph, latent, LATENTS, 2)
    guider = graph.add("BasicGuider", model=windowed(graph, model), conditioning=text)
    low = graph.add("SplitSigmasDenoise", sigmas=sigmas, denoise=0.5)[1]
    noise, euler = euler_and_noise(graph)
    wires = {"noise": noise, "guider": guider, "latent": latent, "sigmas": low}
    made = graph.add("VideoRealismNoiseCalibrate", **wires, rounds=3, nu=1.0, low=0.0, filter="box", max_std=0.0)
    done = custom(graph, made[0], guider, euler, low, latent)
    finite = graph.add("VRTestStatistics", value=done)
    shown = graph.add("PreviewAny", source=made[1])
    outputs = server.run(graph)
    assert json.loads(text_of(outputs, finite))["finite"]
    residuals = json.loads(text_of(outputs, shown))["residuals"]
    assert residuals[-1] < residuals[0]
