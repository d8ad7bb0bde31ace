"""What our guider and sampler cost over ComfyUI's own KSampler: same model, steps and batch, in one process.

    COMFYUI_PATH/venv/bin/python benchmarks/comfy_overhead.py --comfyui COMFYUI_PATH --json OUT.json

Run it with the Python that runs ComfyUI. Every round times each way once, in turn, so that a busy machine slows all
alike; the figure is the median over the rounds of the ratio to KSampler in the same round.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = ("row", "ratio", "seconds")
STEPS, CFG = 20, 4.0


def load_comfyui(folder: Path) -> dict:
    """ComfyUI on the CPU with this pack and the test pack loaded, as ComfyUI loads them: node id -> class."""
    sys.argv = ["main.py", "--cpu"]
    # ComfyUI's `nodes` has to be found before this repository's.
    sys.path[:0] = [str(folder)]
    sys.path = [p for p in sys.path if Path(p or ".").resolve() not in (ROOT, ROOT / "benchmarks")]
    import comfy.options

    comfy.options.enable_args_parsing()
    import comfy.utils

    import nodes

    comfy.utils.PROGRESS_BAR_ENABLED = False

    async def load() -> None:
        await nodes.init_builtin_extra_nodes()
        for pack in (ROOT, ROOT / "tests" / "comfy" / "test_pack"):
            if not await nodes.load_custom_node(str(pack)):
                raise SystemExit(f"{pack} did not load.")

    asyncio.run(load())
    sys.path.append(str(ROOT))
    return nodes.NODE_CLASS_MAPPINGS


def call(classes: dict, node: str, **inputs):
    """Run one node of either generation; its outputs as a tuple."""
    kind = classes[node]
    result = kind.execute(**inputs) if hasattr(kind, "execute") else getattr(kind(), kind.FUNCTION)(**inputs)
    return result if isinstance(result, tuple) else result.args


def ways(classes: dict, frames: int, size: int) -> dict:
    """Name -> function that samples once. All give the same picture up to rounding."""

    def make(node: str, **inputs):
        return call(classes, node, **inputs)

    model = make("VRTestTinyWan", seed=1, text_dim=32)[0]
    positive, negative = (make("VRTestRandomConditioning", dim=32, tokens=8, seed=s, text=True)[0] for s in (1, 2))
    latent = make(
        "VRTestRandomLatent", channels=16, frames=frames, height=size, width=size, batch=1, seed=3, scale=1.0
    )[0]
    sigmas = make("BasicScheduler", model=model, scheduler="simple", steps=STEPS, denoise=1.0)[0]
    euler = make("KSamplerSelect", sampler_name="euler")[0]
    noise = make("RandomNoise", noise_seed=5)[0]
    native = make("CFGGuider", model=model, positive=positive, negative=negative, cfg=CFG)[0]
    options = dict(cfg=CFG, conflict_damping=0.0, rescale=0.0, start_percent=0.0, end_percent=1.0)
    ours = make("VideoRealismDualPromptGuider", model=model, positive=positive, negative=negative, **options)[0]
    inverted = make(
        "VideoRealismDDIMInvert",
        model=model,
        inversion=positive,
        latent=latent,
        sigmas=sigmas,
        method="euler",
        measure_round_trip=False,
    )

    def custom(noise, guider, sampler, sigmas):
        inputs = dict(noise=noise, guider=guider, sampler=sampler, sigmas=sigmas, latent_image=latent)
        return lambda: make("SamplerCustomAdvanced", **inputs)

    def ksampler():
        names = dict(sampler_name="euler", scheduler="simple", denoise=1.0)
        texts = dict(positive=positive, negative=negative)
        make("KSampler", model=model, seed=5, steps=STEPS, cfg=CFG, latent_image=latent, **texts, **names)

    return {
        "KSampler, euler": ksampler,
        "CFGGuider, euler": custom(noise, native, euler, sigmas),
        "our guider, euler": custom(noise, ours, euler, sigmas),
        "our guider, our sampler": custom(inverted[0], ours, inverted[1], inverted[2]),
    }


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from benchmarks import common

    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--comfyui", type=Path, default=Path.home() / "comfy" / "ComfyUI")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--frames", type=int, default=5, help="latent frames")
    parser.add_argument("--size", type=int, default=16, help="latent height and width")
    args = parser.parse_args()
    sys.path.remove(str(ROOT))
    classes = load_comfyui(args.comfyui.expanduser())
    import torch

    torch.set_num_threads(1)
    timed = ways(classes, args.frames, args.size)
    seconds = {name: [] for name in timed}
    for round_ in range(args.rounds + 1):
        for name, run in timed.items():
            start = time.perf_counter()
            run()
            if round_:  # the first round warms up
                seconds[name].append(time.perf_counter() - start)
    base = seconds["KSampler, euler"]
    rows = []
    for name, times in seconds.items():
        ratios = [t / b for t, b in zip(times, base)]
        rows.append({"row": name, "ratio": statistics.median(ratios), "seconds": statistics.median(times)})
    promises = [
        common.Promise(f"time of {row['row']} over KSampler", row["ratio"], 1.02, at_least=False) for row in rows[2:]
    ]
    about = {"steps": STEPS, "cfg": CFG, "rounds": args.rounds, "latent": [16, args.frames, args.size, args.size]}
    common.finish(args.json, rows, COLUMNS, promises, **about)


if __name__ == "__main__":
    main()
