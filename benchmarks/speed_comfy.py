"""ComfyUI's own EasyCache on the embedded model: what it saves of the sampling, and what it costs.

    COMFYUI_PATH/venv/bin/python benchmarks/speed_comfy.py --comfyui COMFYUI_PATH --json OUT.json

Run it with the Python that runs ComfyUI. The shipped graph realism_demo, on scenes 900000 and up, with EasyCache
between the model and the guider; DDIM Invert keeps the plain model: what skips steps cannot be retraced.
`time` and `work` are shares of the sampling without it: processor time, and blocks of the network that ran.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.comfy_overhead import call, load_comfyui  # noqa: E402

COLUMNS = ("row", "time", "work", "psnr", "edge_f1", "critic")
THRESHOLDS = (None, 0.1, 0.2, 0.4)
FIGURES = {"psnr": 0, "edge_f1": 3, "critic": 4}  # outputs of Video Metrics


class Runner:
    """Runs nodes of an API graph in this process, each once."""

    def __init__(self, classes: dict, graph: dict):
        self.classes, self.graph, self.done = classes, graph, {}

    def node(self, kind: str) -> str:
        return next(name for name, node in self.graph.items() if node["class_type"] == kind)

    def inputs(self, name: str) -> dict:
        """The inputs of a node, with everything they depend on run."""
        entries = self.graph[name]["inputs"].items()
        return {key: self.run(value[0])[value[1]] if isinstance(value, list) else value for key, value in entries}

    def run(self, name: str) -> tuple:
        if name not in self.done:
            self.done[name] = call(self.classes, self.graph[name]["class_type"], **self.inputs(name))
        return self.done[name]


def sampled(classes: dict, seed: int, thresholds) -> list[dict]:
    """One scene without the cache and with each threshold: seconds and blocks of the sampling, and its figures."""
    graph = json.loads((ROOT / "workflows" / "api" / "realism_demo.api.json").read_text(encoding="utf-8"))
    for node in graph.values():
        if node["class_type"] == "VideoRealismDemoDrive":
            node["inputs"]["scene_seed"] = seed
    runner, rows = Runner(classes, graph), []
    loader, sampler, guider = (
        runner.node(kind)
        for kind in ("VideoRealismLoadVideoModel", "SamplerCustomAdvanced", "VideoRealismDualPromptGuider")
    )
    after = [sampler, guider, runner.node("VAEDecode"), runner.node("VideoRealismVideoMetrics")]
    plain = runner.run(loader)[0]
    blocks = [0]
    for block in plain.model.diffusion_model.transformer.transformer_blocks:
        block.register_forward_hook(lambda _module, inputs, *_: blocks.__setitem__(0, blocks[0] + len(inputs[0])))
    for threshold in thresholds:
        for name in after:
            runner.done.pop(name, None)
        model = plain
        if threshold is not None:
            options = {"reuse_threshold": threshold, "start_percent": 0.15, "end_percent": 0.95, "verbose": False}
            model = call(classes, "EasyCache", model=plain, **options)[0]
        runner.done[guider] = call(classes, graph[guider]["class_type"], **{**runner.inputs(guider), "model": model})
        sampler_inputs = runner.inputs(sampler)
        before, start = blocks[0], time.process_time()
        runner.done[sampler] = call(classes, "SamplerCustomAdvanced", **sampler_inputs)
        seconds, ran = time.process_time() - start, blocks[0] - before
        figures = runner.run(after[-1])
        rows.append({name: figures[place] for name, place in FIGURES.items()} | {"seconds": seconds, "blocks": ran})
    return rows


def main() -> None:
    folder = Path(sys.argv[sys.argv.index("--comfyui") + 1]).expanduser() if "--comfyui" in sys.argv else None
    if folder is None:
        raise SystemExit("Say where ComfyUI is: --comfyui PATH.")
    target = Path(sys.argv[sys.argv.index("--json") + 1]).absolute() if "--json" in sys.argv else None
    classes = load_comfyui(folder)
    from benchmarks import common

    seeds = range(900_000, 900_003)
    scenes = [sampled(classes, seed, THRESHOLDS) for seed in seeds]
    rows = []
    for place, threshold in enumerate(THRESHOLDS):
        mean = {name: sum(scene[place][name] for scene in scenes) / len(scenes) for name in scenes[0][0]}
        name = "sampling, CFG 1" if threshold is None else f"EasyCache, reuse {threshold:g}"
        base = rows[0] if rows else mean
        shares = {"time": mean["seconds"] / base["seconds"], "work": mean["blocks"] / base["blocks"]}
        rows.append({"row": name, "threshold": threshold, **mean, **shares})
    lost = rows[0]["psnr"] - rows[2]["psnr"]
    promises = [
        common.Promise("EasyCache at its default of 0.2: share of the blocks", rows[2]["work"], 0.9, at_least=False),
        common.Promise("EasyCache at its default of 0.2: dB lost to the twin", lost, 0.2, at_least=False),
    ]
    common.finish(target, rows, COLUMNS, promises, seeds=list(seeds), graph="realism_demo", comfyui=folder.name)


if __name__ == "__main__":
    main()
