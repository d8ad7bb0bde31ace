"""Ten prompts that contradict their clips, in words of the captions the embedded model was trained on.

Those captions name no colours of cars and no light states (they would leak what only the source may carry), so what
can be contradicted is the weather, the time of day, and what there is in the street.
"""

from __future__ import annotations

from benchmarks.guided import Clip
from pipeline_core.world.captions import LOOK_PHRASES, PHOTOREAL_PHRASES

# Of each look, which of its captions' words the second five prompts take.
LOOKS = {"day": 2, "dusk": 2, "night": 3, "rain": 3, "fog": 1}
EMPTY = "no cars, no pedestrians, no traffic lights"
# (the look whose twin is the reference, style and look words, what there is: None is the opposite of the scene)
TOLD = (
    *((look, f"{PHOTOREAL_PHRASES[0]}, {LOOK_PHRASES[look][0]}", None) for look in LOOKS),
    *((look, f"{PHOTOREAL_PHRASES[3]}, {LOOK_PHRASES[look][number]}", EMPTY) for look, number in LOOKS.items()),
)
PROMPTS = len(TOLD)


def contradiction(i: int, clip: Clip) -> tuple[str, str]:
    """(look, prompt) number i of ten, false for the clip."""
    look, style, there = TOLD[i]
    return look, f"{style}, {there or opposite(clip.scene)}"


def opposite(scene) -> str:
    """What the scene is not, in the words of its captions."""
    facts = scene.facts
    return ", ".join(
        [
            "tree-lined avenue" if facts["area"] == "city street" else "city street",
            "a narrow road" if facts["lanes"] == 2 else "two lanes each way",
            "no cars" if facts["cars"] else "many cars",
            "no pedestrians" if facts["people"] else "many pedestrians",
            "no traffic lights" if facts["lights"] else "a crossing with traffic lights",
            "sun from the " + ("left" if facts["sun"] == "right" else "right"),
        ]
    )


def synthetic_look(clip: Clip) -> str:
    """The look to get away from, as a negative prompt."""
    return f"a synthetic driving simulator render, flat shading, {clip.description}"
