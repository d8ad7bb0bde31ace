"""The embedded model on held-out scenes: how near does each way of starting come to the photoreal twin?

    python benchmarks/embedded.py --json OUT.json          the table, on scenes 900000 to 900019
    python benchmarks/embedded.py --json OUT.json --final  the same on scenes 910000 to 910019
    python benchmarks/embedded.py --tune                   SDEdit's strength x CFG sweep, on scenes 800000 to 800005

What is tuned is tuned on the 800000 scenes only and written to benchmarks/embedded_tuned.json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from benchmarks import common  # noqa: E402
from pipeline_core.conditions.segmentation import TAG, VEHICLE_TAGS  # noqa: E402
from pipeline_core.enhance import enhance  # noqa: E402
from pipeline_core.job.settings import EnhanceSettings  # noqa: E402
from pipeline_core.metrics.critic import load_critic  # noqa: E402
from pipeline_core.metrics.fidelity import PSNR, SSIM  # noqa: E402
from pipeline_core.metrics.objects import LampColours, ObjectColours, object_colours  # noqa: E402
from pipeline_core.metrics.realism import Realism  # noqa: E402
from pipeline_core.metrics.structure import EdgeF1  # noqa: E402
from pipeline_core.metrics.temporal import FrameDifferenceError  # noqa: E402
from pipeline_core.models.folders.loading import load_video_model  # noqa: E402
from pipeline_core.video.files import write_json  # noqa: E402
from pipeline_core.world import RenderedBuffers, make_scene, render_styles  # noqa: E402
from pipeline_core.world.captions import LOOK_PHRASES, PHOTOREAL_PHRASES  # noqa: E402
from pipeline_core.world.materials import SIGN_COLOURS  # noqa: E402

# Tags and fewest pixels of the objects whose colours are looked at.
KINDS = {"vehicles": (VEHICLE_TAGS, 24), "signs": ([TAG["traffic sign"]], 12)}
HELD_OUT, FINAL, TUNING = range(900_000, 900_020), range(910_000, 910_020), range(800_000, 800_006)
PROTOTYPES = range(800_100, 800_124)
SIZE = (96, 160)
TUNED = Path(__file__).with_name("embedded_tuned.json")
COLUMNS = ("row", "psnr", "ssim", "lamps", "vehicles", "signs", "edge_f1", "critic", "frechet", "temporal", "calls")
SWEEP = {"strength": (0.6, 0.7, 0.8, 0.9), "cfg": (1.0, 2.0, 3.0)}


class Row:
    """The figures of one method, gathered over scenes; PSNR and SSIM are means of the scenes' own."""

    def __init__(self, name: str, critic) -> None:
        self.name = name
        self.psnr, self.ssim, self.lamps, self.vehicles, self.signs = [], [], [], [], []
        self.edges, self.realism, self.temporal = EdgeF1(), Realism(critic), []
        self.calls = None

    def add(self, output: Tensor, source, twin) -> None:
        for values, metric in ((self.psnr, PSNR()), (self.ssim, SSIM()), (self.temporal, FrameDifferenceError())):
            metric.update(output, twin.rgb)
            values.append(next(iter(metric.compute().values())).value)
        self.edges.update(output, source.rgb)
        self.realism.update(output)
        self.realism.update_reference(twin.rgb)
        lamps = LampColours(source.lights)
        lamps.update(output)
        for what, metric in colour_metrics(source).items():
            metric.update(output, twin.rgb, source.classes, source.instances)
            getattr(self, what).extend(d.kept for d in metric.decisions)
        self.lamps += [d.kept for d in lamps.decisions]

    def figures(self) -> dict:
        realism = {name: figure.value for name, figure in self.realism.compute().items()}
        return {
            "row": self.name,
            "psnr": mean(self.psnr),
            "ssim": mean(self.ssim),
            "lamps": mean(self.lamps),
            "vehicles": mean(self.vehicles),
            "signs": mean(self.signs),
            "edge_f1": self.edges.compute()["edge_f1"].value,
            "critic": realism["critic"],
            "frechet": realism["frechet"],
            "temporal": mean(self.temporal),
            "calls": self.calls,
            "psnr_by_scene": self.psnr,
            "views": [len(self.lamps), len(self.vehicles), len(self.signs)],
        }


def mean(values: list) -> float | None:
    return sum(map(float, values)) / len(values) if values else None


def scenes(seeds: range, frames: int) -> list[tuple]:
    """(source, twin) renders of every seed."""
    from tqdm import tqdm

    pairs = []
    for seed in tqdm(seeds, desc="render"):
        clips = render_styles(make_scene(seed), frames, SIZE, ("synthetic", "photoreal.day"))
        pairs.append((clips["synthetic"], clips["photoreal.day"]))
    return pairs


def colour_transfer(source: Tensor, twin: Tensor) -> Tensor:
    """The source with the twin's own mean and standard deviation per colour channel."""
    axes = (0, 1, 2)
    moved = (source - source.mean(axes)) / source.std(axes) * twin.std(axes) + twin.mean(axes)
    return moved.clamp(0, 1)


def enhanced(model, settings: EnhanceSettings) -> Callable:
    return lambda source, twin: enhance(source.rgb, model, settings, RenderedBuffers(source))[0]


def measure(name: str, make: Callable, pairs: list[tuple], critic) -> dict:
    from tqdm import tqdm

    row = Row(name, critic)
    for source, twin in tqdm(pairs, desc=name):
        row.add(make(source, twin), source, twin)
    return row.figures()


@lru_cache(maxsize=1)
def tuned() -> dict:
    """What --tune found; run it again after new weights."""
    return json.loads(TUNED.read_text())


def stated_colours(what: str, source) -> dict[int, str]:
    """{instance: colour} of a scene's vehicles or signs; of a sign the colour that its kind has in traffic law."""
    if what == "signs":
        return {o["instance"]: SIGN_COLOURS[o["sign"]] for o in source.scene["objects"] if "sign" in o}
    return {o["instance"]: o["colour"] for o in source.scene["objects"] if "colour" in o}


def colour_metrics(source) -> dict[str, ObjectColours]:
    """A fresh measure of each of `KINDS` for one scene."""
    prototypes = tuned()["prototypes"]
    return {
        what: ObjectColours(what, tags, prototypes[what], stated_colours(what, source), min_pixels)
        for what, (tags, min_pixels) in KINDS.items()
    }


def colour_prototypes(pairs: list[tuple]) -> dict[str, dict]:
    """Mean colour of vehicles and signs of every stated colour, as the photoreal twins show them; a grey as bright as
    the signs' mean stands for a sign that lost its colour."""
    prototypes = {}
    for what, (tags, min_pixels) in KINDS.items():
        seen: dict[str, list[Tensor]] = {}
        for source, twin in pairs:
            names = stated_colours(what, source)
            views = object_colours(twin.rgb, source.classes, source.instances, tags, min_pixels)
            for (_, instance), colour in views.items():
                seen.setdefault(names[instance], []).append(colour)
        prototypes[what] = {name: torch.stack(views).mean(0).tolist() for name, views in sorted(seen.items())}
    signs = prototypes["signs"]
    signs["none"] = [float(torch.tensor(list(signs.values())).mean())] * 3
    return prototypes


def sdedit_settings() -> EnhanceSettings:
    """The best SDEdit of the sweep."""
    return EnhanceSettings(start="sdedit", strength=tuned()["strength"], cfg=tuned()["cfg"])


def tune(frames: int) -> None:
    """Sweep SDEdit over strength x CFG on the tuning scenes; keep the setting nearest to the twin."""
    model, critic, pairs = load_video_model(), load_critic(), scenes(TUNING, frames)
    wide = scenes(PROTOTYPES, 5)
    tuned = {
        "seeds": list(TUNING),
        "prototype_seeds": [PROTOTYPES.start, PROTOTYPES.stop],
        "prototypes": colour_prototypes(wide),
    }
    write_json(TUNED, tuned)
    rows = []
    for strength in SWEEP["strength"]:
        for cfg in SWEEP["cfg"]:
            settings = EnhanceSettings(start="sdedit", strength=strength, cfg=cfg)
            rows.append(
                measure(f"sdedit s={strength} cfg={cfg}", enhanced(model, settings), pairs, critic)
                | {"strength": strength, "cfg": cfg}
            )
    best = max(rows, key=lambda row: row["psnr"])
    common.print_table(rows, COLUMNS)
    write_json(TUNED, tuned | {name: best[name] for name in ("strength", "cfg", "psnr")})


def steering(model, pairs: list[tuple]) -> dict[str, dict]:
    """Mean brightness, red-minus-blue and saturation of each weather prompt's result, over the same sources."""
    result = {}
    for look in STEERED:
        outputs = []
        for source, _ in pairs:
            prompt = f"{PHOTOREAL_PHRASES[0]}, {LOOK_PHRASES[look][0]}, {source.scene['description']}"
            outputs.append(enhance(source.rgb, model, replace(STEERING, prompt=prompt), RenderedBuffers(source))[0])
        rgb = torch.cat(outputs)
        result[look] = {
            "brightness": float(rgb.mean()),
            "red_minus_blue": float((rgb[..., 0] - rgb[..., 2]).mean()),
            "saturation": float((rgb.amax(-1) - rgb.amin(-1)).mean()),
        }
    return result


STEERED, STEERING = ("day", "dusk", "night", "rain"), EnhanceSettings()


def main() -> None:
    parser = common.parser(__doc__.split("\n")[0])
    parser.add_argument("--tune", action="store_true", help="sweep SDEdit on the tuning scenes and stop")
    parser.add_argument("--final", action="store_true", help="on scenes that were looked at once")
    parser.add_argument("--scenes", type=int, default=len(HELD_OUT), help="fewer scenes, for a quick look")
    parser.add_argument("--frames", type=int, default=25)
    options = parser.parse_args()
    if options.tune:
        return tune(options.frames)
    model, critic = load_video_model(), load_critic()
    seeds = (FINAL if options.final else HELD_OUT)[: options.scenes]
    pairs = scenes(seeds, options.frames)
    default = EnhanceSettings()
    steps = model.preset.steps
    methods = [
        ("input", lambda s, t: s.rgb, 0),
        ("colour transfer (twin's statistics)", lambda s, t: colour_transfer(s.rgb, t.rgb), 0),
        ("pure noise", enhanced(model, replace(default, start="noise", cfg=1.0)), steps),
        ("best SDEdit", enhanced(model, sdedit_settings()), None),
        ("calibrated noise", enhanced(model, replace(sdedit_settings(), start="calibration")), None),
        ("inversion (default)", enhanced(model, default), 2 * steps - 1),
        ("inversion, signs held", enhanced(model, replace(default, hold_signs=1.0)), 2 * steps - 1),
    ]
    rows = []
    for name, make, calls in methods:
        rows.append(measure(name, make, pairs, critic) | {"calls": calls})
    codec = [
        measure(f"VAE round trip, {name}", make, pairs, critic)
        for name, make in (
            ("twin", lambda s, t: round_trip(model, t.rgb)),
            ("source", lambda s, t: round_trip(model, s.rgb)),
        )
    ]
    vae_photoreal, vae_temporal = codec[0]["psnr"], codec[0]["temporal"]
    vae_synthetic = mean([psnr(round_trip(model, s.rgb), s.rgb) for s, _ in pairs])
    steered = steering(model, pairs[:4])
    by_name = {row["row"]: row for row in rows}
    best, base = by_name["inversion (default)"], {name: by_name[name]["psnr"] for name in by_name}
    day = steered["day"]
    promises = [
        common.Promise("PSNR above the input, dB", best["psnr"] - base["input"], 9.0),
        common.Promise(
            "PSNR above colour transfer, dB", best["psnr"] - base["colour transfer (twin's statistics)"], 5.0
        ),
        common.Promise("PSNR above pure noise, dB", best["psnr"] - base["pure noise"], 3.0),
        common.Promise("PSNR above the best SDEdit, dB", best["psnr"] - base["best SDEdit"], 1.5),
        common.Promise("lamps of at least 5 px that keep their colour", best["lamps"], 0.98),
        common.Promise("vehicles that keep their colour", best["vehicles"], 0.95),
        common.Promise("signs that keep their colour", best["signs"], 0.95),
        common.Promise("signs that keep it when they are held", by_name["inversion, signs held"]["signs"], 0.95),
        common.Promise("edge F1 to the source", best["edge_f1"], 0.9),
        common.Promise("critic's probability of photoreal", best["critic"], 0.95),
        common.Promise("temporal error over the VAE's own", best["temporal"] / vae_temporal, 1.1, at_least=False),
        common.Promise("VAE reconstruction of photoreal clips, dB", vae_photoreal, 30.0),
        common.Promise("VAE reconstruction of synthetic clips, dB", vae_synthetic, 30.0),
        common.Promise(
            "night prompt: brightness against day",
            steered["night"]["brightness"] - day["brightness"],
            -0.05,
            at_least=False,
        ),
        common.Promise(
            "dusk prompt: red minus blue against day", steered["dusk"]["red_minus_blue"] - day["red_minus_blue"], 0.02
        ),
        common.Promise(
            "rain prompt: saturation against day",
            steered["rain"]["saturation"] - day["saturation"],
            0.0,
            at_least=False,
        ),
    ]
    common.finish(
        options.json,
        rows + codec[:1],
        COLUMNS,
        promises,
        seeds=list(seeds),
        frames=options.frames,
        size=list(SIZE),
        preset=model.preset.__dict__,
        steering=steered,
        bf16=model.bf16,
        command="python benchmarks/embedded.py --json OUT.json" + " --final" * options.final,
    )


def round_trip(model, frames: Tensor) -> Tensor:
    """Frames through the VAE, in windows of legal length."""
    from pipeline_core.longvideo import blend_windows, plan_windows
    from pipeline_core.longvideo.stitch import window_clips

    windows = plan_windows(len(frames), model.preset.window, model.preset.overlap, model.preset.temporal_ratio)
    clips = (model.decode(model.encode(clip)) for clip in window_clips(frames, windows))
    return torch.stack(list(blend_windows(clips, windows)))


def psnr(a: Tensor, b: Tensor) -> float:
    return float(-10 * torch.log10((a - b).square().mean()))


if __name__ == "__main__":
    main()
