"""The published ways without inversion, from the shipped graphs: as graphs, and the commands that run them.

    python scripts/baselines.py -o out/baselines
    python scripts/run_workflow.py out/baselines/transfer1_noise.api.json --input drive.mp4 -o clips/transfer1_noise

transfer1_noise: Cosmos-Transfer1 from random noise, as released (guidance 7, RES 2ab in 35 steps and a last call).
transfer1_own: the same from the release's own start, the clip with noise of sigma_max 70 on it.
vace_noise: Wan 2.1 VACE from random noise, as released (50 steps, shift 16, guidance 5).
per_frame: Stable Diffusion 1.5 with ControlNets, every frame from a noise of its own.
Prompts, controls and sizes are the shipped graphs'. No server is needed here; to run them the files that they name are.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from client.workflow_graph import read_graph

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "workflows" / "api"
SEED = 1


def node_of(graph: dict, kind: str) -> str:
    """The id of the one node of this class."""
    (only,) = (node_id for node_id, node in graph.items() if node["class_type"] == kind)
    return only


def add(graph: dict, kind: str, title: str, **inputs) -> str:
    """A node more, outside of every subgraph (whose ids are "outer:inner"); returns its id."""
    node_id = str(max(int(part) for name in graph for part in name.split(":")) + 1)
    graph[node_id] = {"class_type": kind, "inputs": inputs, "_meta": {"title": title}}
    return node_id


def without_inversion(name: str, sampler: str, cfg: float) -> dict:
    """A shipped graph with random noise and a native sampler in the place of DDIM Invert, at the published guidance.

    The noise levels stay those that went into the inversion.
    """
    graph = read_graph(SHIPPED / f"{name}.api.json")
    invert = node_of(graph, "VideoRealismDDIMInvert")
    levels = graph.pop(invert)["inputs"]["sigmas"]
    noise = add(graph, "RandomNoise", "RandomNoise", noise_seed=SEED)
    solver = add(graph, "KSamplerSelect", "KSamplerSelect", sampler_name=sampler)
    graph[node_of(graph, "SamplerCustomAdvanced")]["inputs"] |= {
        "noise": [noise, 0],
        "sampler": [solver, 0],
        "sigmas": levels,
    }
    guider = graph[node_of(graph, "VideoRealismDualPromptGuider")]["inputs"]
    guider["cfg"] = cfg
    guider.pop("inversion", None)
    return graph


def from_nothing(graph: dict, kind: str, **size: int) -> dict:
    """The graph with an empty latent in the place of the clip's, which then only the controls know."""
    scale = graph[node_of(graph, "ImageScale")]["inputs"]
    length = graph[node_of(graph, "ImageFromBatch")]["inputs"]["length"]
    size = size or {"length": length, "batch_size": 1}
    empty = add(graph, kind, "Empty latent", width=scale["width"], height=scale["height"], **size)
    del graph[node_of(graph, "VAEEncode")]
    graph[node_of(graph, "SamplerCustomAdvanced")]["inputs"]["latent_image"] = [empty, 0]
    return graph


def with_levels(graph: dict, scheduler: str) -> dict:
    """The graph with a native scheduler, whose levels end at 0, in the place of Model Preset, whose do not."""
    del graph[node_of(graph, "VideoRealismModelPreset")]
    graph[node_of(graph, "SamplerCustomAdvanced")]["inputs"]["sigmas"] = [scheduler, 0]
    return graph


def transfer1_own() -> dict:
    return without_inversion("cosmos_transfer1", "res_multistep", cfg=8.0)


def transfer1_noise() -> dict:
    graph = from_nothing(transfer1_own(), "EmptyCosmosLatentVideo")
    graph[node_of(graph, "KarrasScheduler")]["inputs"]["sigma_max"] = 80.0
    return graph


def vace_noise() -> dict:
    graph = from_nothing(without_inversion("wan21_vace", "uni_pc", cfg=5.0), "EmptyHunyuanLatentVideo")
    model = graph[node_of(graph, "VideoRealismDualPromptGuider")]["inputs"]["model"]
    shifted = add(graph, "ModelSamplingSD3", "Shift", model=model, shift=16.0)
    levels = {"model": [shifted, 0], "scheduler": "simple", "steps": 50, "denoise": 1.0}
    return with_levels(graph, add(graph, "BasicScheduler", "Noise levels", **levels))


def per_frame() -> dict:
    graph = without_inversion("sd15_controlnet", "dpmpp_2m", cfg=7.5)
    frames = graph[node_of(graph, "ImageFromBatch")]["inputs"]["length"]
    levels = {"steps": 20, "sigma_max": 14.6146, "sigma_min": 0.0292, "rho": 7.0}
    graph = with_levels(graph, add(graph, "KarrasScheduler", "Noise levels", **levels))
    return from_nothing(graph, "EmptyLatentImage", batch_size=frames)


BASELINES: dict[str, Callable[[], dict]] = {
    make.__name__: make for make in (transfer1_noise, transfer1_own, vace_noise, per_frame)
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("out/baselines"), help="folder for the graphs")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    for name, make in BASELINES.items():
        path = options.output / f"{name}.api.json"
        graph = make()
        graph[node_of(graph, "SaveVideo")]["inputs"]["filename_prefix"] = f"video/{name}"
        path.write_text(json.dumps(graph, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"python scripts/run_workflow.py {path} --input drive.mp4 -o clips/{name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
