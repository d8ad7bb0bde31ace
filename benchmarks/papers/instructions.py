"""Edits by instruction (InsV2V, 2311.00213): scales of text and video, a description instead, tuning on every clip.

    python benchmarks/papers/instructions.py --tune             tuning scenes, 800060 and up: the scales of the preset
    python benchmarks/papers/instructions.py --json benchmarks/results/papers/instructions.json

The source is the synthetic clip; eight instructions ask for one of five looks of the real street. Columns: nearer, dB
to the exact target look above the source's; of the exact way, how far the edit goes along the way of the exact pair in
features of frames; asked look, whether of the scene's own renders the one that was asked for is nearest in them; text
alignment, cosine with the target's caption; frame consistency, mean cosine of consecutive frames (CLIPFrame). Features
are those of the world's own text-image encoder where it is there; else means and spreads of colours stand for them,
and nothing is aligned with text.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from benchmarks import common  # noqa: E402
from benchmarks.edits import psnr, statistics  # noqa: E402
from benchmarks.guided import Bench, Clip  # noqa: E402
from benchmarks.papers import table  # noqa: E402
from benchmarks.papers.table import Claim, Make, Output  # noqa: E402
from pipeline_core.__main__ import main as command  # noqa: E402
from pipeline_core.diffusion import CFG, VE, Only, VideoText, guided, invert, sample  # noqa: E402
from pipeline_core.edits.grammar import caption_in_style  # noqa: E402
from pipeline_core.job.settings import EnhanceSettings  # noqa: E402
from pipeline_core.models.folders.loading import edit_folder, load_video_model  # noqa: E402
from pipeline_core.models.folders.lora import NAME, Lora  # noqa: E402
from pipeline_core.models.networks.video_model import UNCOND, VideoModel  # noqa: E402
from pipeline_core.perception.own import own_folder  # noqa: E402
from pipeline_core.perception.text_image import TextImage, load_text_image  # noqa: E402
from pipeline_core.video import media  # noqa: E402

TUNING = range(800_060, 800_070)
LOOKS = ("day", "dusk", "night", "rain", "fog")
INSTRUCTIONS = (  # what is said, and the look that it asks for
    ("make it look real", "day"),
    ("make it photorealistic and make it dusk", "dusk"),
    ("turn it into a real video and let the sun go down", "dusk"),
    ("make it look real and make it night", "night"),
    ("make it a dashcam recording and change it to nighttime", "night"),
    ("make it photorealistic and let it rain", "rain"),
    ("turn it into a real video and change the weather to rain", "rain"),
    ("make it look real and make it foggy", "fog"),
)
VIDEO, TEXT = (0.7, 1.0, 1.5), (1.0, 1.5, 2.5, 4.0)
PRESET = (1.0, 1.5)  # video and text scale
TUNED_STEPS, TUNED_RATE = 200, 1e-3  # of the LoRA of one clip
SOURCE, INVERSION, GUIDED = (
    "the source itself",
    "inversion, the target's prompt",
    "inversion, the target's prompt, CFG 2",
)
FRESH = "the same from fresh noise"  # as published
LORA = f"LoRA of the clip ({TUNED_STEPS} steps), {INVERSION}"


def edit_row(video: float, text: float) -> str:
    return f"instruction, video {video:g}, text {text:g}"


@cache
def encoder() -> TextImage:
    folder = own_folder("text_image")
    return load_text_image(folder) if folder else TextImage(statistics, None, 1.0, "colours")


@cache
def edit_model() -> VideoModel:
    return load_video_model(edit_folder())


class First:
    """The plainest words."""

    def choice(self, options: Sequence[str]) -> str:
        return options[0]


def captions(clips: Sequence[Clip], look: str) -> list[str]:
    return [caption_in_style(clip.description, f"photoreal.{look}", First()) for clip in clips]


def measure(clip: Clip, frames: Tensor, look: str) -> dict[str, float | None]:
    """Figures of an edit's frames (T, H, W, 3), which was asked to be of this look."""
    network, source = encoder(), clip.source.rgb
    features = network.image(frames)
    ends = {name: network.image(twin.rgb).mean(0) for name, twin in clip.twins.items()}
    ends["synthetic"] = network.image(source).mean(0)
    mean, way = features.mean(0), ends[look] - ends["synthetic"]
    steps = torch.nn.functional.cosine_similarity(features[1:], features[:-1], dim=1)
    return {
        "nearer": psnr(frames, clip.twins[look].rgb) - psnr(source, clip.twins[look].rgb),
        "toward": float((mean - ends["synthetic"]) @ way / (way @ way)),
        "reflected": float(min(ends, key=lambda name: float((ends[name] - mean).norm())) == look),
        "consistency": float(steps.mean()) if len(steps) else None,
    }


def outputs(make: Callable[[Bench, str, str], Tensor], bench: Bench) -> list[Output]:
    """Of every instruction what `make` (bench, instruction, look) gives."""
    count = len(bench.clips)
    return [Output(make(bench, said, look), looks=[look] * count, measure=measure) for said, look in INSTRUCTIONS]


def edited(video: float, text: float, bench: Bench, said: str, look: str, own: bool = True) -> Tensor:
    """Latents (S, C, t, h, w) of the edit model as the job makes them; own: from the noise that it finds in the clip
    itself, or else from fresh noise."""
    model = edit_model()
    words = {"negative": "", UNCOND: "", "positive": said, "inversion": model.preset.inversion_prompt}
    texts = {name: model.encode_text([text]) for name, text in words.items()}
    batched = model.predictor(texts, {}, {}, VE, source=bench.latent)

    def predict(x: Tensor, sigma: float, branches: Sequence[str]) -> list[Tensor]:
        bench.calls += len(branches)
        return batched(x, sigma, branches)

    denoise = guided(predict, VideoText(video, text, UNCOND, video="negative", video_text="positive"))
    if not own:
        return sample(denoise, bench.fresh(), bench.sigmas(), VE, solver=EnhanceSettings().solver)
    inversion = invert(guided(predict, Only("inversion")), bench.latent, bench.sigmas(), VE, "exact")
    return sample(denoise, inversion.noise, bench.sigmas(), VE, solver=inversion.solver)


def described(cfg: float, bench: Bench, said: str, look: str) -> Tensor:
    """What this pack does without instructions: the clip's own noise under the target's prompt."""
    return bench.retrace(CFG(cfg), positive=captions(bench.clips, look))


def tuned(bench: Bench) -> list[Output]:
    """Every clip by the model with a LoRA of that clip alone (Tune-A-Video's way), else as `described`."""
    parts = [bench.take([number]) for number in range(len(bench.clips))]
    for part in parts:
        part.one_by_one, preset = bench.one_by_one, bench.model.preset
        lora = Lora(lora_of(part.clips[0], part.model), 1.0)
        part.model = replace(load_video_model(loras=[lora]), preset=preset)
    found = []
    for said, look in INSTRUCTIONS:
        latents = torch.cat([described(1.0, part, said, look) for part in parts])
        found.append(Output(latents, [look] * len(parts), captions(bench.clips, look), measure=measure))
    bench.calls += sum(part.calls for part in parts) // len(parts)
    return found


def lora_of(clip: Clip, model: VideoModel) -> Path:
    """The file of a LoRA trained on the clip with its own words, as `train-lora` does it."""
    folder = table.WORK / "instructions" / "loras" / f"{table.weights_of()}-{clip.scene.seed}"
    clips = folder / "clip"
    if not (folder / "lora" / NAME).is_file():
        clips.mkdir(parents=True, exist_ok=True)
        with media.VideoWriter(clips / "clip.mp4", 24, tuple(clip.source.rgb.shape[1:3])) as out:
            for frame in clip.source.rgb:
                out.write(frame)
        words = f"{model.preset.inversion_prompt}, {clip.description}"
        options = {"steps": TUNED_STEPS, "rate": TUNED_RATE, "frames": len(clip.source.rgb), "caption": words}
        given = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        if command(["train-lora", str(clips), "-o", str(folder / "lora"), *given]) != 0:
            raise RuntimeError(f"train-lora on {clips} failed")
    return folder / "lora" / NAME


def rows() -> dict[str, Make]:
    grid = {edit_row(*PRESET): PRESET} | {edit_row(video, text): (video, text) for video in VIDEO for text in TEXT}
    return {
        SOURCE: lambda bench: outputs(lambda bench, said, look: bench.latent, bench),
        INVERSION: partial(outputs, partial(described, 1.0)),
        GUIDED: partial(outputs, partial(described, 2.0)),
        **{name: partial(outputs, partial(edited, *scales)) for name, scales in grid.items()},
        FRESH: partial(outputs, partial(edited, *PRESET, own=False)),
        LORA: tuned,
    }


EDIT = edit_row(*PRESET)
TABLE = table.Table(
    name="instructions",
    title="Edits by instruction",
    rows=rows(),
    base=INVERSION,
    columns=("nearer", "toward", "reflected", "edge_f1", "lamps", "signs", "consistency", "text", "psnr", "calls"),
    paper={
        EDIT: "PickScore 20.76, CLIPFrame .911 (text 7.5 to 10, video 1.2 to 1.8)",
        LORA: "Tune-A-Video 20.36, .924",
    },
    claims=(
        Claim("An edit is 3 dB nearer to the exact target look than the source is", "nearer", EDIT, SOURCE, 3.0),
        Claim("An edit goes at least .9 of the exact way", "toward", EDIT, SOURCE, 0.9),
        Claim("An edit loses at most .05 of the lamps' colours", "lamps", EDIT, SOURCE, -0.05),
        Claim("An edit loses at most .05 of the signs' colours", "signs", EDIT, SOURCE, -0.05),
        Claim("An edit takes no call more than inversion with guidance", "calls", GUIDED, EDIT, -1.0),
        Claim("The clip's own noise does better than fresh noise (PSNR)", "psnr", EDIT, FRESH),
        Claim("An instruction does better than a description of the target (PSNR)", "psnr", EDIT, INVERSION),
        Claim("An instruction reaches the asked look more often than a description", "reflected", EDIT, INVERSION),
        Claim("One model does better than one tuned on every clip (PSNR)", "psnr", EDIT, LORA),
        Claim("More text scale edits more (4 against 1)", "toward", edit_row(1.0, 4.0), edit_row(1.0, 1.0)),
        Claim("More video scale keeps more edges (1.5 against .7)", "edge_f1", edit_row(1.5, 1.5), edit_row(0.7, 1.5)),
    ),
    looks=LOOKS,
    models=("embedded", "embedded_edit"),
)


def main() -> None:
    parser = table.parser(__doc__)
    parser.add_argument("--tune", action="store_true", help="the grid alone, on tuning scenes")
    options = parser.parse_args()
    if not options.tune:
        table.report(TABLE, options)
        return
    names = {EDIT, INVERSION, *(edit_row(video, text) for video in VIDEO for text in TEXT)}
    grid = replace(
        TABLE,
        name="instructions_tune",
        rows={name: make for name, make in TABLE.rows.items() if name in names},
        claims=(),
        frames=options.frames or TABLE.frames,
        steps=options.steps or TABLE.steps,
    )
    scenes = table.measure_rows(grid, TUNING[: options.scenes], table.weights_of(grid.models))
    common.print_table(table.summaries(grid, scenes), ("row", *grid.columns))


if __name__ == "__main__":
    main()
