"""Prompts: five weathers in three degrees of detail, ten that contradict their clips, captions with planted errors.

    python benchmarks/papers/prompts.py --json benchmarks/results/papers/prompts.json

The small world, a small model; all on a full inversion. Every row is held against the
twins of the look that its prompt asks for. A caption model cannot be had here: what it would get wrong is planted into
the world's own captions, in the prompt of the result and in the one that describes the source alike.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

from benchmarks.guidance_prompts import PROMPTS, contradiction, opposite  # noqa: E402
from benchmarks.guided import Bench, Clip  # noqa: E402
from benchmarks.papers import table  # noqa: E402
from benchmarks.papers.table import Claim, Make, Output  # noqa: E402
from pipeline_core.diffusion import CFG, VE, ConflictDamping, guided, invert, sample  # noqa: E402
from pipeline_core.diffusion.guidance import Guidance, Only  # noqa: E402
from pipeline_core.world.captions import LOOK_PHRASES, PHOTOREAL_PHRASES, caption  # noqa: E402

LOOKS = ("day", "dusk", "night", "rain", "fog")
DETAILS = ("look", "sentence", "scene")
GUIDANCE: dict[str, Guidance] = {
    "CFG 1": CFG(1.0),
    "CFG 3": CFG(3.0),
    "CFG 3, damped": ConflictDamping(CFG(3.0)),
    "CFG 7": CFG(7.0),
    "CFG 7, damped": ConflictDamping(CFG(7.0)),
}
SHARES = 5  # scenes that take all ten contradictions
FACTS = 6  # that a caption of the older world states
ERRORS = (1, 3, FACTS)


def worded(clip: Clip, look: str, detail: str) -> str:
    """The prompt of a look: its words alone, with what kind of video it is, and with what is in the scene."""
    words, whole = LOOK_PHRASES[look][0], caption(clip.scene, f"photoreal.{look}")
    return {"look": words, "sentence": f"{PHOTOREAL_PHRASES[0]}, {words}", "scene": whole}[detail]


def weather(look: str, detail: str) -> Make:
    def make(bench: Bench) -> Output:
        prompts = [worded(clip, look, detail) for clip in bench.clips]
        return Output(bench.retrace(CFG(1.0), positive=prompts), [look] * len(prompts), prompts)

    return make


def contradicting(guidance: Guidance) -> Make:
    """Every scene's share of the ten prompts."""

    def make(bench: Bench) -> list[Output]:
        outputs = []
        for first in range(0, PROMPTS, SHARES):
            pairs = [contradiction(first + clip.scene.seed % SHARES, clip) for clip in bench.clips]
            prompts = [prompt for _, prompt in pairs]
            outputs.append(Output(bench.retrace(guidance, positive=prompts), [look for look, _ in pairs], prompts))
        return outputs

    return make


def erring(clip: Clip, errors: int) -> str:
    """The scene's description with so many of its facts turned into what the scene is not."""
    facts, wrong = clip.description.split(", "), opposite(clip.scene).split(", ")
    for place in Random(clip.scene.seed).sample(range(FACTS), errors):
        facts[place] = wrong[place]
    return ", ".join(facts)


def with_errors(errors: int) -> Make:
    def make(bench: Bench) -> Output:
        preset, words = bench.model.preset, [erring(clip, errors) for clip in bench.clips]
        prompts = [f"{preset.prompt}, {each}" for each in words]
        predict = bench.predict(positive=prompts, inversion=[f"{preset.inversion_prompt}, {each}" for each in words])
        inversion = invert(guided(predict, Only("inversion")), bench.latent, bench.sigmas(), VE)
        latents = sample(guided(predict, CFG(1.0)), inversion.noise, bench.sigmas(), VE, solver=inversion.solver)
        return Output(latents, prompts=prompts)

    return make


def rows() -> dict[str, Make]:
    return {
        **{f"{look}: {detail}": weather(look, detail) for look in LOOKS for detail in DETAILS},
        **{f"contradicting, {name}": contradicting(guidance) for name, guidance in GUIDANCE.items()},
        **{f"caption with {errors} of {FACTS} facts wrong": with_errors(errors) for errors in ERRORS},
    }


TABLE = table.Table(
    name="prompts",
    title="Prompts",
    rows=rows(),
    base="day: scene",
    columns=("psnr", "edge_f1", *table.KINDS, "colours", *table.WORDS, "critic", "frechet", "calls"),
    paper={
        "contradicting, CFG 7": "conflicts with the clip occasionally produce small artifacts; no number",
        "day: scene": "a caption model's words and style words; no number",
    },
    claims=(
        Claim("A sentence is nearer to the night twin than the look's words alone", "psnr", "night: sentence",
              "night: look"),
        Claim("The scene's description brings the result nearer to the day twin", "psnr", "day: scene",
              "day: sentence"),
        Claim("The scene's description brings the result nearer to the night twin", "psnr", "night: scene",
              "night: sentence"),
        Claim("A caption that is all wrong costs more than .5 dB", "psnr", "day: scene",
              f"caption with {FACTS} of {FACTS} facts wrong", 0.5),
        Claim("Prompts that contradict the clip cost colours at CFG 7 (against 1)", "colours", "contradicting, CFG 1",
              "contradicting, CFG 7"),
        Claim("Damped CFG 3 keeps 30 points more colours than plain CFG 3", "colours", "contradicting, CFG 3, damped",
              "contradicting, CFG 3", 0.3),
        Claim("Damped CFG 7 keeps 30 points more colours than plain CFG 7", "colours", "contradicting, CFG 7, damped",
              "contradicting, CFG 7", 0.3),
        Claim("A higher scale shows more of a prompt that contradicts the clip (7 against 1)", "text",
              "contradicting, CFG 7", "contradicting, CFG 1"),
        Claim("Damping shows less of it (CFG 7)", "text", "contradicting, CFG 7", "contradicting, CFG 7, damped"),
        Claim("CFG 3 shows more of a prompt that contradicts the clip (against 1)", "text", "contradicting, CFG 3",
              "contradicting, CFG 1"),
        Claim("Damping shows less of it (CFG 3)", "text", "contradicting, CFG 3", "contradicting, CFG 3, damped"),
        Claim("Damped it is still more than without guidance (CFG 3)", "text", "contradicting, CFG 3, damped",
              "contradicting, CFG 1"),
        Claim("There were 30 points to keep: plain CFG 3 loses as many against CFG 1", "colours",
              "contradicting, CFG 1", "contradicting, CFG 3", 0.3),
    ),
    looks=LOOKS,
)  # fmt: skip


def main() -> None:
    table.report(TABLE, table.parser(__doc__).parse_args())


if __name__ == "__main__":
    main()
