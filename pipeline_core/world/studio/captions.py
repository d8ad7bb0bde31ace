"""Captions of a studio scene: what it shows, and in fine ones how people move, what they wear and where the camera
goes."""

from ..captions import LOOK_PHRASES
from .motions import MOTIONS
from .sets import FLOORS
from .stage import Stage

# What marks a clip as rendered, for captions and negative prompts; words that the embedded model's captions know.
TAG = "cg render"
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def stage_captions(stage: Stage, style: str) -> dict[str, str]:
    """{"fine": with motion, attributes and the camera's way, "brief": without motion and the camera's way}."""
    look = style.partition(".")[2] or "day"
    place = _place(stage)
    brief = [_subjects(stage, fine=False), place]
    fine = [_subjects(stage, fine=True), place, stage.path.phrase()]
    if stage.backdrop is None:
        brief.append(LOOK_PHRASES[look][0])
        fine.append(LOOK_PHRASES[look][0])
    return {"fine": ", ".join(filter(None, fine)), "brief": ", ".join(filter(None, brief))}


def _place(stage: Stage) -> str:
    if stage.backdrop is not None:
        return f"before a plain {stage.backdrop} background"
    kinds = {entry["kind"] for entry in stage.objects}
    around = [words for kind, words in (("building", "houses"), ("tree", "trees")) if kind in kinds]
    return f"{FLOORS[stage.floor][2]}, {' and '.join(around)} around" if around else FLOORS[stage.floor][2]


def _subjects(stage: Stage, fine: bool) -> str:
    people = [entry for entry in stage.objects if entry["kind"] == "person"]
    if people:
        return " and ".join(_person(entry) if fine else "a person" for entry in people)
    things = [entry for entry in stage.objects if entry["kind"] not in ("building", "lamp", "tree")]
    things = things or [entry for entry in stage.objects if entry["kind"] == "tree"][:1]
    if fine:
        return ", ".join(dict.fromkeys(_thing(entry) for entry in things))
    kinds = [entry["kind"] for entry in things]
    return ", ".join(_count(kinds.count(kind), kind) for kind in dict.fromkeys(kinds))


def _person(entry: dict) -> str:
    motion = MOTIONS[entry["motion"]]
    below = f"{entry['trousers']} {'shorts' if entry['shorts'] else 'trousers'}"
    return f"{_a(motion.who)} in a {entry['shirt']} shirt and {below} {motion.phrase}"


def _thing(entry: dict) -> str:
    if entry["kind"] == "crates":
        return "crates on each other"
    if entry["kind"] == "sign":
        return f"{_a(entry['sign'])} sign"
    return f"{_a(entry['colour'])} {entry['kind']}" if "colour" in entry else _a(entry["kind"])


def _count(number: int, kind: str) -> str:
    if kind == "crates":
        return "crates"
    return _a(kind) if number == 1 else f"{NUMBERS[min(number, 9)]} {kind}s"


def _a(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' and words != 'one way sign' else 'a'} {words}"
