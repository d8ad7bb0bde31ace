"""Every setting of a job in one table: the command line, the nodes and the checks of values are made from it."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from ..conditions.stack import parse_controls
from ..diffusion.invert import METHODS
from ..diffusion.solvers import SOLVERS
from ..doors.limits import MOST_TEXT
from ..errors import UserError, shown

STARTS = ("inversion", "calibration", "sdedit", "noise", "flowedit", "flowalign")
HANDOVERS = ("none", "mean", "motion", "fused")
STITCHES = ("crossfade", "flow")
REFINE_STARTS = ("calibration", "inversion")
CALIBRATION_PROMPTS = ("positive", "inversion")


@dataclass(frozen=True)
class Setting:
    """What one setting takes, and what is said of it to people.

    kind: "text", "choice" (of `choices`), "number", "count" (whole numbers), "switch", "interval" (two numbers, the
    lower first) or "weights" (control=weight). low, high: the range of numbers, both ends included unless `above`.
    option: the command line's name for it, where that is not --NAME.
    """

    help: str
    kind: str = "number"
    low: float = 0.0
    high: float = 1.0
    above: bool = False
    choices: tuple[str, ...] = ()
    option: str = ""

    def check(self, name: str, value) -> None:
        """UserError in one sentence unless `value` is a legal one."""
        if not self._legal(value):
            raise UserError(f"{name} is {shown(value)} but must be {self.legal_values()}: change {name}.")

    def legal_values(self) -> str:
        """What it may be, in words."""
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        if self.kind in ("number", "count"):
            whole = "a whole number " if self.kind == "count" else ""
            return f"{whole}above {self.low:g} and at most {self.high:g}" if self.above else f"{whole}{self._range()}"
        return {
            "text": f"a text of at most {MOST_TEXT} characters in Unicode (UTF-8), without NUL",
            "switch": "on or off",
            "interval": f"two numbers, the lower first, {self._range()}",
            "weights": "weights of 0 and more by control, such as edge=1,depth=0.5",
        }[self.kind]

    def parse(self, name: str, text: str):
        """The value that a text stands for; UserError for one that stands for none."""
        try:
            value = _PARSERS.get(self.kind, str)(text.strip())
        except ValueError:
            raise UserError(f"{name} is {shown(text)} but must be {self.legal_values()}: change {name}.") from None
        self.check(name, value)
        return value

    def _range(self) -> str:
        return f"from {self.low:g} to {self.high:g}" if self.high < math.inf else f"{self.low:g} or more"

    def _legal(self, value) -> bool:
        if self.kind == "choice":
            return value in self.choices
        if self.kind == "text":
            return isinstance(value, str) and len(value) <= MOST_TEXT and _is_unicode(value)
        if self.kind == "switch":
            return isinstance(value, bool)
        if self.kind == "count":
            return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high
        if self.kind == "number":
            return _is_number(value) and self.low <= value <= self.high and not (self.above and value == self.low)
        if self.kind == "interval":
            pair = isinstance(value, (tuple, list)) and len(value) == 2 and all(map(_is_number, value))
            return pair and self.low <= value[0] <= value[1] <= self.high
        return isinstance(value, dict) and all(_is_number(w) and 0 <= w < math.inf for w in value.values())


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)


def _is_unicode(text: str) -> bool:
    try:
        return "\0" not in text and text == text.encode().decode()
    except UnicodeEncodeError:
        return False


def _interval(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.replace(",", " ").split())


def _switch(text: str) -> bool:
    return {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}.get(text.lower(), text)


_PARSERS = {"number": float, "count": int, "interval": _interval, "switch": _switch, "weights": parse_controls}

SETTINGS = {
    "prompt": Setting("what the result should look like", "text"),
    "negative_prompt": Setting("what it should not look like", "text", option="--negative"),
    "inversion_prompt": Setting("what the source looks like", "text"),
    "start": Setting(
        "how the noise is made; flowedit and flowalign change what the prompts differ in under the same noise, without "
        "inversion: they cost a call more per step",
        "choice",
        choices=STARTS,
    ),
    "strength": Setting("share of noise in the start, above 0 to 1 (goes before a dial)", above=True),
    "cfg": Setting("guidance scale, 1 is off (goes before a dial)", high=50),
    "cfg_range": Setting(
        "guide only between these noise levels (sigma, 0 is clean); elsewhere the negative prompt costs nothing",
        "interval",
        high=math.inf,
    ),
    "guidance_reach": Setting(
        "hold guidance back to this share of what the prompt itself changes; 0.1 makes any cfg safe", high=10
    ),
    "simdrop": Setting(
        "push away from what looks simulated, by the inversion prompt or by --simdrop-reference; 0 is off. It costs a "
        "condition more",
        high=10,
    ),
    "simdrop_range": Setting("with simdrop: push only between these noise levels (sigma)", "interval", high=math.inf),
    "simdrop_rescale": Setting("with simdrop: hold a step's contrast to what it was without, 0 (not) to 1"),
    "simdrop_low": Setting("with simdrop: share of spatial frequencies, from the lowest, that it leaves alone"),
    "hold_signs": Setting(
        "how strongly to hold traffic signs to the clip's own colours, 0 (not) to 1. It needs a simulator's buffers or "
        "a segmentation model, which say where they are"
    ),
    "video_scale": Setting(
        "of a model that edits by instruction: how strongly to follow the clip, 1 is neutral (cfg: the words)", high=30
    ),
    "steps": Setting("model steps of one pass", "count", 1, 1000),
    "controls": Setting('weights such as "edge=1,depth=1,seg=0.5", or "none"', "weights"),
    "method": Setting("how to invert: exact loses nothing; see diffusion/invert.py", "choice", choices=METHODS),
    "inversion_steps": Setting("steps of the inversion alone: fewer are quicker, not exact", "count", 1, 1000),
    "noise_blend": Setting("share of fresh noise in the inverted one, 0 to 1 (goes before a dial)"),
    "solver": Setting("how to sample where nothing is inverted", "choice", choices=tuple(SOLVERS)),
    "calibration_rounds": Setting("with start calibration: rounds of it", "count", 1, 100),
    "calibration_nu": Setting("with start calibration: frequencies it keeps, as a share of Nyquist", above=True),
    "calibration_prompt": Setting(
        "with start calibration: hold the prediction under this prompt to the source; positive is as published and "
        "keeps its colours, inversion keeps layout without look",
        "choice",
        choices=CALIBRATION_PROMPTS,
    ),
    "cache": Setting("threshold of the first-block cache of the sampling, 0 to 1; 0.1 saves some steps"),
    "seed": Setting("seed of the random noise", "count", 0, 2**63 - 1),
    "handover": Setting(
        "what a window gets from the one before; default: none, their frames are crossfaded. mean and motion hold it "
        "to the result on shared frames, fused predicts all windows at every step and holds the clip's latent",
        "choice",
        choices=HANDOVERS,
    ),
    "handover_share": Setting("with mean and motion: for this share of the steps, 0 to 1"),
    "anchor": Setting("with mean and motion: how much of it fades out by the window's end, 0 to 1"),
    "anchor_colours": Setting(
        "hold every window's mean colour as far from the source's as the first window's is, against drift", "switch"
    ),
    "detail": Setting(
        "the source's own detail in the result, 0 (the model's pixels, enlarged) to 1; what it changed stays its own"
    ),
    "refine": Setting(
        "strength of a second pass at the clip's own size, in tiles of the model's size, for new detail; 0 is off, "
        "0.2 is little. Costs its steps for every tile"
    ),
    "refine_start": Setting(
        "noise of the second pass: fresh and calibrated, or that of inverting the delivered frames (twice the steps)",
        "choice",
        choices=REFINE_STARTS,
    ),
    "stitch": Setting(
        "how frames that two windows share become one; flow aligns the two before the crossfade (slower)",
        "choice",
        choices=STITCHES,
    ),
}


def parse_settings(text: str) -> dict:
    """Read lines (or parts between semicolons) "name = value" as {name: value}; empty ones and # comments are skipped.

    Raises UserError for a name that is no setting, one that is given twice and a value that is not legal.
    """
    return {name: SETTINGS[name].parse(name, value) for name, value in named_values(text, "settings", SETTINGS).items()}


def named_values(text: str, what: str, names: Collection[str]) -> dict[str, str]:
    """{name: value as it stands there} of lines as `parse_settings` reads them. what: the input, for the sentence."""
    values: dict[str, str] = {}
    for line in (part.split("#")[0].strip() for part in text.replace(";", "\n").splitlines()):
        if not line:
            continue
        name, equals, value = line.partition("=")
        name = name.strip()
        if name not in names or not equals:
            raise UserError(f"{what} has {shown(line)} but needs name = value with a name of {', '.join(names)}.")
        if name in values:
            raise UserError(f"{what} gives {name} twice: give it once.")
        values[name] = value
    return values
