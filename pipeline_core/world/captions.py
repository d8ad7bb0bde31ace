"""Captions of a scene: what is there and how it looks, never the colours that only the source may carry."""

from random import Random

from .scene import Scene
from .town.scene import Town

STYLES = (
    "synthetic",
    "photoreal",
    "photoreal.day",
    "photoreal.dusk",
    "photoreal.night",
    "photoreal.rain",
    "photoreal.fog",
    "photoreal.snow",
)

SYNTHETIC_PHRASES = (
    "a synthetic driving simulator render, flat shading",
    "video game footage, cartoonish, low quality CG",
    "a computer graphics render of driving, saturated flat colours",
    "an unrealistic 3D game, aliased edges",
    "simulator footage, CG render, simple geometry, fake lighting",
)
PHOTOREAL_PHRASES = (
    "a photorealistic dashcam video",
    "realistic driving footage, photograph, natural light",
    "photoreal video from a car camera, highly detailed",
    "a real video of driving, realistic lighting",
    "masterpiece, best quality, realistic lighting, photorealistic driving video",
)
LOOK_PHRASES = {
    "day": (
        "on a clear sunny day",
        "in daylight, clear weather",
        "sunny day, bright sky",
        "at daytime, clear day",
    ),
    "dusk": (
        "at dusk, warm sky",
        "in the evening at sunset, dusk",
        "dusk, orange horizon",
        "at twilight, dusk",
    ),
    "night": (
        "at night, street lights",
        "night, dark sky",
        "nighttime, lamps and headlights",
        "in the dark at night",
    ),
    "rain": (
        "in the rain, wet road",
        "rainy weather, overcast, wet asphalt",
        "rain, reflections on the road",
        "on a rainy day, grey sky",
    ),
    "fog": ("in thick fog", "foggy weather, low visibility", "fog, hazy and grey", "on a foggy day, mist"),
    "snow": ("in winter, snow on the ground", "snowy weather, grey sky", "snow, a snowy road", "on a snowy day"),
}


def description(scene: Scene | Town) -> str:
    """What is in the scene, without any style: to be added to the prompts of a job."""
    return ", ".join(_details(scene.facts, sunny=True))


def caption(scene: Scene | Town, style: str, rng: Random | None = None) -> str:
    """One caption; without `rng` the plain wording, with it a random wording, order and choice of facts."""
    pick = rng.choice if rng else lambda options: options[0]
    facts = scene.facts
    look = style.partition(".")[2] or "day"
    parts = [pick(SYNTHETIC_PHRASES)] if style == "synthetic" else [pick(PHOTOREAL_PHRASES), pick(LOOK_PHRASES[look])]
    details = _details(facts, sunny=style == "synthetic" or look == "day")
    if rng:
        details = [d for d in details if rng.random() < 0.7]
        rng.shuffle(details)
        if rng.random() < 0.3:
            parts.reverse()
    return ", ".join(parts + details)


def _details(facts: dict, sunny: bool) -> list[str]:
    details = [
        facts["area"],
        "two lanes each way" if facts["lanes"] == 2 else "a narrow road",
        _count(facts["cars"], "car", "cars"),
        _count(facts["people"], "pedestrian", "pedestrians"),
        "a crossing with traffic lights" if facts["lights"] else "no traffic lights",
    ]
    details += _town_details(facts) if "cyclists" in facts else []
    return details + [f"sun from the {facts['sun']}"] if sunny else details


def _town_details(facts: dict) -> list[str]:
    """What only towns have, said only where it is there: nobody writes that a street is not steep."""
    said = [
        (facts["cyclists"], _count(facts["cyclists"], "cyclist", "cyclists")),
        (facts["bend"], f"a curve to the {facts['bend']}"),
        (facts["roundabout"], "a roundabout"),
        (facts["slope"], f"going {facts['slope']}"),
        (facts["trucks"], "a truck"),
        (facts["buses"], "a bus"),
        (facts["parked"], "parked cars"),
        (facts["event"] == "cut-in", "a car changes lanes in front"),
        (facts["event"] == "overtaking", "a car overtakes"),
    ]
    return [words for there, words in said if there]


def _count(number: int, one: str, many: str) -> str:
    return (
        f"no {many}"
        if number == 0
        else f"one {one}"
        if number == 1
        else f"several {many}"
        if number < 6
        else f"many {many}"
    )
