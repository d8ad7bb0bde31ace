"""The gate on held-out scenes: which share of planted failures it catches, which share of good results it rejects.

    python benchmarks/gate.py --json OUT.json      40 scenes from seed 900000 on, with each failure planted in each
    python benchmarks/gate.py --tune               what the limits were chosen by: scenes from seed 800000 on

Scenes are the first ones whose source shows a car and a traffic light, so that every failure can be planted (but for
invented objects, where none is large enough). Clips of 17 frames by the embedded model's preset; all are written as
files and judged as `enhance-folder` judges them. The photoreal twins of some scenes, which a perfect model would come
to, are judged too, in all looks. --cache FOLDER keeps the enhanced clips, which take most of the time.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from benchmarks import common  # noqa: E402
from benchmarks.gate_plants import FAILURES, FLICKER, INVENTED, STEP, can_fail, inventable, without  # noqa: E402
from pipeline_core.batch.checks import CHECKS  # noqa: E402
from pipeline_core.batch.gate import Verdict, figures, judge  # noqa: E402
from pipeline_core.batch.rules import GateRules  # noqa: E402
from pipeline_core.enhance import enhance  # noqa: E402
from pipeline_core.metrics.critic import load_critic  # noqa: E402
from pipeline_core.models.folders.loading import load_video_model  # noqa: E402
from pipeline_core.video.media import write_clip  # noqa: E402
from pipeline_core.world import Render, RenderedBuffers, make_scene, render, render_styles  # noqa: E402

FRAMES, SIZE, FPS = 17, (96, 160), 24
TUNING, HELD_OUT = 800_000, 900_000  # the first seed of each
COLUMNS = ("results", "clips", "rejected", "without buffers", "rejected by")
GOOD, TWIN = "good", "twin by "
LOOKS = ("day", "dusk", "night", "rain", "fog", "snow")


def scenes(first: int, count: int) -> Iterator[tuple[int, Render]]:
    """(seed, source) of the first `count` scenes from seed `first` on in which every failure can be planted."""
    seed = first
    while count:
        clip = render(make_scene(seed), FRAMES, SIZE)
        if can_fail(clip):
            count -= 1
            yield seed, clip
        seed += 1


class Enhancer:
    """Results of the embedded model's preset, from `cache` where they are there."""

    def __init__(self, cache: Path | None) -> None:
        self.cache, self._model = cache, None

    def __call__(self, seed: int, clip: Render) -> Tensor:
        kept_at = None if self.cache is None else self.cache / f"{seed}.pt"
        if kept_at is not None and kept_at.is_file():
            return torch.load(kept_at).float() / 255
        self._model = self._model or load_video_model()
        result, _ = enhance(clip.rgb, self._model, buffers=RenderedBuffers(clip))
        frames = (result * 255).round().byte()
        if kept_at is not None:
            self.cache.mkdir(parents=True, exist_ok=True)
            torch.save(frames, kept_at)
        return frames.float() / 255


def planted(seed: int, clip: Render, result: Tensor) -> dict[str, tuple[Render, Tensor]]:
    """{what: (source, frames)}: the good result, and one with every failure."""
    clips = {GOOD: (clip, result)}
    clips |= {name: (clip, plant(result, clip, Random(f"{seed} {name}"))) for name, plant in FAILURES.items()}
    for name, tags in INVENTED.items():
        if objects := inventable(clip, tags):
            clips[name] = without(clip, Random(f"{seed} {name}").choice(objects)), result
    return clips


def twins(seed: int, clip: Render) -> dict[str, tuple[Render, Tensor]]:
    """{what: (source, frames)}: what a perfect model would make of the source in every look."""
    styles = render_styles(make_scene(seed), FRAMES, SIZE, tuple(f"photoreal.{look}" for look in LOOKS))
    return {f"{TWIN}{look}": (clip, styles[f"photoreal.{look}"].rgb) for look in LOOKS}


def measured(clips: dict[str, tuple[Render, Tensor]], critic) -> Iterator[tuple[str, dict]]:
    """(what, figures) of every clip beside its source, each through a file."""
    with tempfile.TemporaryDirectory() as folder:
        path, result = Path(folder) / "source.mp4", Path(folder) / "result.mp4"
        for name, (source, frames) in clips.items():
            write_clip(path, source.rgb, FPS)
            write_clip(result, frames, FPS)
            yield name, figures(path, result, RenderedBuffers(source), critic)


def row(name: str, verdicts: list[Verdict], bare: list[Verdict]) -> dict:
    causes = [check.name for verdict in verdicts for check in verdict.failed]
    return {
        "results": name,
        "clips": len(verdicts),
        "rejected": share(verdicts),
        "without buffers": share(bare),
        "rejected by": ", ".join(f"{cause} {causes.count(cause)}" for cause in dict.fromkeys(causes)) or "-",
    }


def share(verdicts: list[Verdict]) -> float:
    return sum(not verdict.accepted for verdict in verdicts) / len(verdicts)


def ranges(name: str, held: list[dict]) -> list[dict]:
    """The lowest, middle and highest value of every check's figure."""
    rows = []
    for check in CHECKS:
        values = sorted(figure[check] for figure in held if check in figure)
        if values:
            middle = values[len(values) // 2]
            rows.append({"results": name, "check": check, "lowest": values[0], "middle": middle, "highest": values[-1]})
    return rows


def main() -> None:
    parser = common.parser(__doc__.split("\n")[0])
    parser.add_argument("--tune", action="store_true", help="the tuning scenes, and the range of every figure")
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--twins", type=int, default=5, help="of how many of the scenes the photoreal twins are judged")
    parser.add_argument("--cache", type=Path, help="folder in which enhanced clips are kept")
    options = parser.parse_args()
    from tqdm import tqdm

    enhancer, critic, limits = Enhancer(options.cache), load_critic(), GateRules().limits()
    held: dict[str, list[dict]] = {}
    seeds = []
    for seed, clip in tqdm(scenes(TUNING if options.tune else HELD_OUT, options.scenes), total=options.scenes):
        clips = planted(seed, clip, enhancer(seed, clip))
        clips |= twins(seed, clip) if len(seeds) < options.twins else {}
        seeds.append(seed)
        for name, values in measured(clips, critic):
            held.setdefault(name, []).append(values)
    spread = [line for name, values in held.items() for line in ranges(name, values)]
    if options.tune:
        common.print_table(spread, ("results", "check", "lowest", "middle", "highest"))
    verdicts, rows = {}, []
    for name, all_values in held.items():
        mine = GateRules().limits(name.removeprefix(TWIN) if name.startswith(TWIN) else None)
        bare = {check: limit for check, limit in mine.items() if CHECKS[check].needs in ("", CHECKS["critic"].needs)}
        verdicts[name] = [judge(values, mine) for values in all_values]
        rows.append(row(name, verdicts[name], [judge(values, bare) for values in all_values]))
    rejected = {line["results"]: line["rejected"] for line in rows}
    failures = {name: verdicts[name] for name in (*FAILURES, *INVENTED) if name in verdicts}
    promises = [
        common.Promise("planted failures caught", share([one for held in failures.values() for one in held]), 0.95),
        common.Promise("good results rejected", rejected[GOOD], 0.05, at_least=False),
        *(common.Promise(f"{name} caught", rejected[name], 0.95) for name in failures),
    ]
    about = {"command": "python benchmarks/gate.py", "seeds": seeds, "limits": limits, "step": STEP, "flicker": FLICKER}
    common.finish(options.json, rows, COLUMNS, promises, **about, ranges=spread)


if __name__ == "__main__":
    main()
