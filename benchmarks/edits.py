"""Pairs for edits by instruction: Prompt-to-Prompt on the embedded model, exact pairs, and what the filter does.

    python benchmarks/edits.py --tune                                    tuning scenes, 800000 and up
    python benchmarks/edits.py --json benchmarks/results/edits.json      held-out scenes, 900000 and up

From a sunny day to dusk, night, rain and fog, 5 frames a pair, made as `pairs make` makes them; clips and rows stay in
--out, and a run that was stopped goes on. Columns: structure is edge F1 of the edit against its source; asked, whether
of the scene's captions in all looks the one that was asked for is nearest to the edit; toward, how far it goes along
the way of the exact pair in statistics of colours; psnr, of the edit against the exact one; source_psnr, of the source.
Captions and frames are compared, and pairs filtered, by the CLIP folder of --clip-model, the world's own encoder, or,
where there is neither, by mean and spread of colours, with the looks of LEARNED scenes in the place of captions. How
well that tells looks apart, the row "exact" says. The filter's thresholds were chosen on tuning scenes: those of the
world's own encoder stand beside it.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from statistics import fmean

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from benchmarks import common  # noqa: E402
from pipeline_core.batch.networks import NetworkChoice, load_networks  # noqa: E402
from pipeline_core.cli.render import render_file  # noqa: E402
from pipeline_core.edits.grammar import caption_in_style  # noqa: E402
from pipeline_core.edits.make import make_pairs  # noqa: E402
from pipeline_core.edits.pairs import PairSettings  # noqa: E402
from pipeline_core.edits.plan import PairRecipe, plan_pairs  # noqa: E402
from pipeline_core.edits.replacement import Shares  # noqa: E402
from pipeline_core.edits.scores import Thresholds, score_pair, usual_thresholds  # noqa: E402
from pipeline_core.edits.triples import Triple  # noqa: E402
from pipeline_core.metrics.structure import EdgeF1  # noqa: E402
from pipeline_core.models.folders.loading import EMBEDDED  # noqa: E402
from pipeline_core.models.folders.preset_file import read_preset  # noqa: E402
from pipeline_core.perception.captions import LOOKS  # noqa: E402
from pipeline_core.perception.own import own_folder  # noqa: E402
from pipeline_core.perception.text_image import TextImage, load_text_image  # noqa: E402
from pipeline_core.video import media  # noqa: E402
from pipeline_core.world import drive_scene, make_scene, render_styles  # noqa: E402
from pipeline_core.world.captions import description  # noqa: E402

HELD_OUT, TUNING, LEARNED = range(900_020, 900_030), range(800_020, 800_030), range(800_040, 800_052)
FRAMES, SIZE, FPS = 5, (96, 160), 24.0
ASKED = ("dusk", "night", "rain", "fog")  # the looks that the embedded model was trained on, besides day
PROMISED, OWN_NOISE = "prompt-to-prompt", "own noise"
WAYS = {
    PROMISED: PairSettings(Shares(0.8, 0.4)),
    OWN_NOISE: PairSettings(Shares(0.8, 0.4), start="inversion"),  # of the scene by day, which is the source then
    "noise shared": PairSettings(Shares(0.0, 0.0)),  # and nothing else
}
CLIPS = {"noise": "synthetic", "inversion": "photoreal.day"}  # what the pairs are made of, by their start
COLUMNS = ("pairs", "count", "structure", "asked", "toward", "psnr", "source_psnr")
CHOSEN = Thresholds(text=-0.25, frames=-0.3, direction=0.6)  # for the statistics below, by one tuning scene


def statistics(frames: Tensor) -> Tensor:
    """(N, 12) of frames (N, H, W, 3): mean and spread of each colour, in the whole and in the upper third."""
    parts = [part.flatten(1, 2) for part in (frames, frames[:, : frames.shape[1] // 3])]
    return torch.cat([figure for part in parts for figure in (part.mean(1), part.std(1))], 1)


class Looks:
    """The looks of the twins of LEARNED scenes as centroids of standardised statistics."""

    def __init__(self, scenes: range) -> None:
        styles = {name: f"photoreal.{name}" for name in ("day", *ASKED)}
        renders = [render_styles(make_scene(seed), range(0, 48, 24), SIZE, tuple(styles.values())) for seed in scenes]
        samples = {name: torch.cat([statistics(r[style].rgb) for r in renders]) for name, style in styles.items()}
        every = torch.cat(list(samples.values()))
        self._mean, self._std = every.mean(0), every.std(0)
        self.names = list(samples)
        self.centroids = torch.stack([self.features_of(values).mean(0) for values in samples.values()])

    def features_of(self, values: Tensor) -> Tensor:
        return (values - self._mean) / self._std

    def image(self, frames: Tensor) -> Tensor:
        return self.features_of(statistics(frames.float()))

    def texts(self, prompts: list[str]) -> Tensor:
        """A caption's features: those of the look it names."""
        named = [next(name for name in self.names if LOOKS[name].tag in prompt) for prompt in prompts]
        return torch.stack([self.centroids[self.names.index(name)] for name in named])

    def network(self) -> TextImage:
        return TextImage(self.image, self.texts, 1.0, "twins' statistics")


def triples_of(seed: int) -> list[Triple]:
    """From a sunny day to every look that is asked for, in the plainest words."""

    class First:
        def choice(self, options):
            return options[0]

    said = description(drive_scene(seed, FRAMES, FPS))
    day = caption_in_style(said, "photoreal.day", First())
    return [
        Triple(day, f"make it {name}", caption_in_style(said, f"photoreal.{name}", First()), f"look: {name}",
               ("photoreal.day", f"photoreal.{name}"))
        for name in ASKED
    ]  # fmt: skip


@cache
def captions_of(seed: int) -> dict[str, str]:
    """What a scene is called in each look."""
    first, *_ = triples = triples_of(seed)
    return {"day": first.caption} | {look: each.edited_caption for look, each in zip(ASKED, triples, strict=True)}


def made_pairs(seeds: range, out: Path, ways: dict[str, PairSettings]) -> dict[str, list[dict]]:
    """Rows of the pair set of every way, and of the exact one."""
    for start, style in CLIPS.items():
        (out / "clips" / start).mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            path = out / "clips" / start / f"{seed}.mp4"
            if not path.is_file():
                render_file(seed, FRAMES, FPS, SIZE, style, path, path.with_name(f"{seed}_buffers"))
    triples = [triple for seed in seeds for triple in triples_of(seed)]
    choice, networks, rows = NetworkChoice(precision="fp32"), None, {}
    for name, settings in {"exact": None, **ways}.items():
        by = "exact" if settings is None else "model"
        recipe = PairRecipe(len(ASKED), by=by, frames=FRAMES, settings=settings or PairSettings())
        target = out / name.replace(" ", "_")
        tasks = plan_pairs(out / "clips" / recipe.settings.start, target, recipe, choice, triples)
        if by == "model" and networks is None:
            networks = load_networks(choice)
        preset = read_preset(EMBEDDED)
        print(name, len(tasks), flush=True)
        rows[name] = [
            {**row, "folder": target}
            for row in make_pairs(tasks, target, recipe, preset if by == "exact" else networks)
        ]
    return rows


def measured(row: dict, exact: dict, looks: Looks, network: TextImage) -> dict:
    source, edited = (media.read_clip(row["folder"] / row[side]) for side in ("source", "edited"))
    truths = [media.read_clip(exact["folder"] / exact[side]) for side in ("source", "edited")]
    asked, captions = row["kind"].removeprefix("look: "), captions_of(int(row["id"].split(".")[0]))
    nearest = int(network.log_odds(edited, list(captions.values())).mean(0).argmax())
    edges = EdgeF1()
    edges.update(edited, source)
    ends = [looks.image(clip).mean(0) for clip in truths]
    way = ends[1] - ends[0]
    moved = looks.image(edited).mean(0) - looks.image(source).mean(0)
    return {
        "id": row["id"],
        "kind": row["kind"],
        "structure": edges.compute()["edge_f1"].value,
        "asked": float(list(captions)[nearest] == asked),
        "toward": float(moved @ way / (way @ way)),
        "psnr": psnr(edited, truths[1]),
        "source_psnr": psnr(source, truths[0]),
        "scores": score_pair(network, source, edited, row["caption"], row["edited_caption"]),
    }


def psnr(a: Tensor, b: Tensor) -> float:
    return float(-10 * (a - b).square().mean().clamp(min=1e-10).log10())


def table_row(name: str, pairs: list[dict]) -> dict:
    means = {column: fmean(p[column] for p in pairs) if pairs else None for column in COLUMNS[2:]}
    return {"pairs": name, "count": len(pairs), **means}


def main() -> None:
    parser = common.parser(__doc__.split("\n")[0])
    parser.add_argument("--tune", action="store_true", help="on tuning scenes; prints the scores of every pair too")
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--ways", default=",".join(WAYS), help="with commas; the first of them always")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "out" / "edits")
    parser.add_argument("--clip-model", type=Path, help="CLIP folder that filters; default: the world's own, if there")
    options = parser.parse_args()
    seeds = (TUNING if options.tune else HELD_OUT)[: options.scenes]
    ways = {name: WAYS[name] for name in dict.fromkeys([PROMISED, *options.ways.split(",")])}
    rows = made_pairs(seeds, options.out / ("tuning" if options.tune else "held_out"), ways)
    looks = Looks(LEARNED)
    folder = options.clip_model or own_folder("text_image")
    network, chosen = (load_text_image(folder), usual_thresholds(folder)) if folder else (looks.network(), CHOSEN)
    table, each = [], []
    for name, those in rows.items():
        pairs = [measured(row, exact, looks, network) for row, exact in zip(those, rows["exact"], strict=True)]
        good = [pair for pair in pairs if not chosen.reasons(pair["scores"])]
        table.append(table_row(name, pairs))
        table.append(table_row(f"{name}, filtered", good))
        each += [{"way": name, **pair, "scores": vars(pair["scores"])} for pair in pairs]
    if options.tune:
        scores = tuple(each[0]["scores"])
        common.print_table([{**pair, **pair["scores"]} for pair in each], ("way", "id", *COLUMNS[2:], *scores))
    by_name = {row["pairs"]: row for row in table}
    promises = [p for name in (PROMISED, OWN_NOISE) if name in by_name for p in promised(name, by_name)]
    common.finish(
        options.json, table, COLUMNS, promises, seeds=list(seeds), learned=list(LEARNED), frames=FRAMES, each=each,
        filtered_by=network.name, thresholds=vars(chosen), command="python benchmarks/edits.py --json OUT.json",
    )  # fmt: skip


def promised(name: str, by_name: dict[str, dict]) -> list[common.Promise]:
    plain, filtered, exact = by_name[name], by_name[f"{name}, filtered"], by_name["exact"]
    return [
        common.Promise(f"{name}: edge F1 of an edit to its source", plain["structure"], 0.85),
        common.Promise(
            f"{name}: the same as a share of the exact pairs'", plain["structure"] / exact["structure"], 0.85
        ),
        common.Promise(f"{name}: share of pairs with the asked look", plain["asked"], 0.8),
        common.Promise(f"{name}: edge F1 that the filter adds", gained(plain, filtered, "structure"), 0.0),
        common.Promise(
            f"{name}: share with the asked look that the filter adds", gained(plain, filtered, "asked"), 0.0
        ),
    ]


def gained(plain: dict, filtered: dict, column: str) -> float | None:
    return None if filtered[column] is None else filtered[column] - plain[column]


if __name__ == "__main__":
    main()
