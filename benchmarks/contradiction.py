"""How often a prompt that contradicts its clip is warned of, and how often one that does not.

    python benchmarks/contradiction.py --tune                                         on scenes 800060 to 800079
    python benchmarks/contradiction.py --json benchmarks/results/contradiction.json   on scenes 942000 to 942019

By the world's own text-image network, on synthetic frames, before anything runs. --tune writes the limit that one in
twenty agreeing prompts of its scenes is above into the network's folder. Of every scene: five prompts that say what is
there, one a look; five that only name the look; and the ten of the other benchmarks that contradict it. low and high:
95 % of bootstrap draws over the scenes. --clip-model: another CLIP folder, with its own limit or the pack's usual one.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

import torch  # noqa: E402

from benchmarks import common  # noqa: E402
from benchmarks.embedded import SIZE, mean  # noqa: E402
from benchmarks.guidance_prompts import PROMPTS, contradiction  # noqa: E402
from benchmarks.guided import Clip  # noqa: E402
from benchmarks.papers.intervals import interval  # noqa: E402
from benchmarks.papers.prompts import LOOKS, worded  # noqa: E402
from pipeline_core.conditions.estimated import Agreement  # noqa: E402
from pipeline_core.job import contradiction as job  # noqa: E402
from pipeline_core.models.folders.loading import EMBEDDED  # noqa: E402
from pipeline_core.models.folders.preset_file import read_preset  # noqa: E402
from pipeline_core.perception.own import model_name, own_folder  # noqa: E402
from pipeline_core.perception.text_image import LIMIT_FILE, load_agreement  # noqa: E402
from pipeline_core.video.files import write_json  # noqa: E402
from pipeline_core.world import make_scene, render_styles  # noqa: E402
from pipeline_core.world.captions import caption  # noqa: E402

HELD_OUT, TUNING = range(942_000, 942_020), range(800_060, 800_080)
FRAMES = (0, 6, 12)
ALARMS = 0.05  # of agreeing prompts, that --tune allows
COLUMNS = ("row", "warned", "low", "high", "mean", "prompts")
AGREEING = ("says what is there", "names the look alone")
Values = dict[str, list[float]]


def prompts_of(clip: Clip) -> dict[str, list[str]]:
    """Prompts by what they say of the clip."""
    draw = Random(clip.scene.seed)
    return {
        AGREEING[0]: [caption(clip.scene, f"photoreal.{look}", draw) for look in LOOKS],
        AGREEING[1]: [worded(clip, look, "sentence") for look in LOOKS],
        "contradicts the clip": [contradiction(number, clip)[1] for number in range(PROMPTS)],
    }


def values_of(agreement: Agreement, seeds: Sequence[int]) -> list[Values]:
    """Of every scene and kind of prompt, how much each is contradicted by the frames."""
    preset, scenes = read_preset(EMBEDDED), []
    for seed in seeds:
        scene = make_scene(seed)
        source = render_styles(scene, list(FRAMES), SIZE, ["synthetic"])["synthetic"]
        clip = Clip(scene, source, {}, {})
        scenes.append(
            {
                kind: [job.contradiction(agreement, source.rgb, prompt, preset.prompt) for prompt in prompts]
                for kind, prompts in prompts_of(clip).items()
            }
        )
    return scenes


def tuned_limit(scenes: Sequence[Values]) -> float:
    agreeing = [value for scene in scenes for kind in AGREEING for value in scene[kind]]
    return round(float(torch.quantile(torch.tensor(agreeing), 1 - ALARMS)), 3)


def rows(scenes: Sequence[Values], limit: float) -> list[dict]:
    table = []
    for kind in scenes[0]:
        sums = [sum(value > limit for value in scene[kind]) for scene in scenes]
        counts = [len(scene[kind]) for scene in scenes]
        low, high = interval(sums, counts)
        everything = [value for scene in scenes for value in scene[kind]]
        shown = {"warned": sum(sums) / sum(counts), "low": low, "high": high, "mean": mean(everything)}
        table.append({"row": kind, **shown, "prompts": sum(counts)})
    return table


def main() -> None:
    parser = common.parser(__doc__.split("\n")[0])
    parser.add_argument("--tune", action="store_true", help="find the limit on the tuning scenes and write it")
    parser.add_argument("--scenes", type=int, default=len(HELD_OUT), help="fewer scenes, for a quick look")
    parser.add_argument("--clip-model", type=Path, help="another CLIP folder than the world's own")
    options = parser.parse_args()
    folder = options.clip_model or own_folder("text_image")
    if folder is None:
        raise SystemExit("error: models/perception/text_image is not there: train it, or give --clip-model.")
    agreement = load_agreement(folder, "cpu")
    seeds = (TUNING if options.tune else HELD_OUT)[: options.scenes]
    scenes = values_of(agreement, seeds)
    limit = tuned_limit(scenes) if options.tune else agreement.limit
    if options.tune:
        write_json(folder / LIMIT_FILE, {"limit": limit, "alarms": ALARMS, "seeds": list(seeds)})
    about = {"seeds": list(seeds), "frames": list(FRAMES), "network": model_name(folder), "limit": limit}
    command = "python benchmarks/contradiction.py --json OUT.json"
    common.finish(options.json, rows(scenes, limit), COLUMNS, [], **about, command=command)


if __name__ == "__main__":
    main()
