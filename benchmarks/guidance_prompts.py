"""Ten prompts that contradict their clips, in words of the captions the embedded model was trained on.

Those captions name no colours of cars and no light states (they would leak what only the source may carry), so what
can be contradicted is the weather, the time of day, and what there is in the street.
"""

from __future__ import annotations

from benchmarks.guided import Clip

EMPTY = "no cars, no pedestrians, no traffic lights"
# (the look whose twin is the reference, style and look words, what there is: None is the opposite of the scene)
TOLD = (
    ("day", "a photorealistic dashcam video, on a clear sunny day", None),
    ("dusk", "a photorealistic dashcam video, at dusk, warm sky", None),
    ("night", "a photorealistic dashcam video, at night, street lights", None),
    ("rain", "a photorealistic dashcam video, in the rain, wet road", None),
    ("fog", "a photorealistic dashcam video, in thick fog", None),
    ("day", "a real video of driving, realistic lighting, sunny day, bright sky", EMPTY),
    ("dusk", "a real video of driving, realistic lighting, dusk, orange horizon", EMPTY),
    ("night", "a real video of driving, realistic lighting, in the dark at night", EMPTY),
    ("rain", "a real video of driving, realistic lighting, on a rainy day, grey sky", EMPTY),
    ("fog", "a real video of driving, realistic lighting, foggy weather, low visibility", EMPTY),
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
