"""Two networks for one MODEL, as Wan 2.2 has them: one for the high noise levels, one for the low."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import comfy.model_management
import comfy.model_patcher
import comfy.patcher_extension
import comfy.samplers

from ...pipeline_core.errors import UserError
from .run_cache import WINDOWS, run_cache
from .running import models_at_work

KEY = "video_realism_experts"
ASK = "sampler_calc_cond_batch_function"  # of model_options: what answers in the place of calc_cond_batch


class Experts:
    """What answers in place of the low-noise network: each noise level goes to its own, loaded when its turn comes.

    Guidance, conditions and the noise schedule stay those of the low-noise MODEL, which has to be of the same class.
    """

    def __init__(self, high, low, boundary: float):
        self.high, self.boundary = high, boundary
        self._before = run_options(low)  # what is patched after joining is meant for both
        self._high_at_work, self._low = False, low

    def __call__(self, args: dict) -> list:
        """In the form of ComfyUI's sampler_calc_cond_batch_function."""
        x, sigma, options = args["input"], args["sigma"], args["model_options"]
        high = float(sigma.flatten()[0]) >= self.boundary
        if high != self._high_at_work:
            pair = (self.high, self._low) if high else (self._low, self.high)
            self._load(*pair, x, options)
            self._high_at_work = high
        if high:
            cache = run_cache(options)
            options = comfy.patcher_extension.merge_nested_dicts(run_options(self.high), added(self._before, options))
            options[WINDOWS] = cache  # merging copies dicts, and this one has to outlive the call
        model = self.high.model if high else args["model"]
        return comfy.samplers.calc_cond_batch(model, args["conds"], x, sigma, options)

    @staticmethod
    def _load(expert, other, x, options: dict) -> None:
        """As a sampler of its own would, so that the other one makes room where both do not fit; the rest stays."""
        shape = step_shape(x.shape, options.get("context_handler"))
        needed = expert.model.memory_required([2 * shape[0], *shape[1:]])  # two branches, as ComfyUI reckons
        at_work = models_at_work()  # a reference model, ControlNets
        rest = [model for model in at_work if not (expert.is_clone(model) or other.is_clone(model))]
        comfy.model_management.load_models_gpu([expert, *rest], memory_required=needed)
        expert.model.current_patcher = expert  # older ComfyUI forgets it

    def around(self, executor, *args, **kwargs):
        """A wrapper of outer_sample: the second network is set up and put away with the first."""
        with self.at_work(executor.class_obj.model_patcher):
            return executor(*args, **kwargs)

    @contextmanager
    def at_work(self, low) -> Iterator[None]:
        """For the length of a run. low: the MODEL that holds the pair, as it is being run."""
        self._high_at_work, self._low = False, low
        self.high.pre_run()
        try:
            yield
        finally:
            self.high.cleanup()


def step_shape(shape: Sequence[int], windows) -> list[int]:
    """The shape of what the network sees at once: a window where the latent is windowed, by ComfyUI or by this pack."""
    shape = list(shape)
    if hasattr(windows, "context_length"):
        shape[windows.dim] = min(shape[windows.dim], windows.context_length)
    elif hasattr(windows, "layout"):
        layout = windows.layout(shape)
        shape[layout.dim] = max(len(span) for span in layout.spans)
    return shape


def run_options(model) -> dict:
    """A copy of a MODEL's options as its own run would have them: with its wrappers and callbacks."""
    options = comfy.model_patcher.create_model_options_clone(model.model_options)
    inner = options.setdefault("transformer_options", {})
    for kind in ("wrappers", "callbacks"):
        inner[kind] = comfy.patcher_extension.merge_nested_dicts(inner.get(kind, {}), getattr(model, kind))
    return options


def added(before: dict, now: dict) -> dict:
    """What `now` has and `before` has not, at any depth of dicts; in lists by identity."""
    difference = {}
    for key, value in now.items():
        old = before.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            if inner := added(old, value):
                difference[key] = inner
        elif isinstance(value, list) and isinstance(old, list):
            if inner := [item for item in value if not any(item is known for known in old)]:
                difference[key] = inner
        elif value is not old and not isinstance(value, Experts):
            difference[key] = value
    return difference


def joined(high, low, boundary: float):
    """A MODEL that asks `high` at noise levels of `boundary` and more, `low` below. UserError for unlike networks."""
    kinds = [type(model.model) for model in (high, low)]
    widths = [model.model.model_config.unet_config.get("in_dim") for model in (high, low)]
    if kinds[0] is not kinds[1] or widths[0] != widths[1]:
        each_kind = " and ".join(f"{kind.__name__} with {width} input channels" for kind, width in zip(kinds, widths))
        raise UserError(
            f"The two models are of different kinds ({each_kind}): load the high and low noise files of one model."
        )
    if is_joined(high) or is_joined(low):
        raise UserError("One of the two models holds two experts already: connect a loader's MODEL to each input.")
    experts, joint = Experts(high, low, boundary), low.clone()
    joint.set_model_sampler_calc_cond_batch_function(experts)
    joint.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.OUTER_SAMPLE, KEY, experts.around)
    return joint


def is_joined(model) -> bool:
    """Whether a MODEL holds two experts."""
    return isinstance(model.model_options.get(ASK), Experts)


def own_experts(model) -> Experts | None:
    """A copy of the pair that a MODEL holds, for a run inside another model's run; None for one network."""
    return copy.copy(model.model_options[ASK]) if is_joined(model) else None
