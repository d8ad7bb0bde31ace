"""The maths on a second device: the CPU's numbers, no mixed operation, and no more than one read a step."""

import pytest
import torch
from device_under_test import APART, NAME, closest
from pretend_device import assert_alike

from pipeline_core.diffusion import (
    CFG,
    FLOW,
    VE,
    ConflictDamping,
    Interval,
    Only,
    Rescale,
    SimDrop,
    VideoText,
    blend_noise,
    calibrate_noise,
    flow_sigmas,
    fresh_noise,
    guided,
    invert,
    karras_sigmas,
    renoise_low_sigmas,
    restore_high_frequencies,
    sample,
)
from pipeline_core.diffusion.inversion.retrace import Retrace
from pipeline_core.diffusion.invert import METHODS
from pipeline_core.diffusion.solvers import SOLVERS
from pipeline_core.errors import UserError
from pipeline_core.longvideo.fused import fused_predict
from pipeline_core.longvideo.handover import HandOver, handed_start, with_handover

GRIDS = {VE: karras_sigmas, FLOW: flow_sigmas}
GENERATOR = torch.Generator().manual_seed(0)
X0, NOISE, OTHER = torch.randn(3, 2, 3, 5, 8, 8, generator=GENERATOR)
PULL = {"positive": 0.3, "negative": -0.2, "inversion": 0.1, "reference": -0.3, "uncond": 0.0, "video": 0.2}


def network(x, sigma):
    return torch.tanh(x) / (1 + 0.5 * sigma)


def predict(x, sigma, branches):
    return [network(x + PULL.get(name, 0.4), sigma) for name in branches]


GUIDANCE = {
    "only": Only("positive"),
    "cfg": CFG(3.0),
    "video and text": VideoText(),
    "interval": Interval(CFG(3.0), 0.1, 5.0),
    "rescale": Rescale(CFG(5.0)),
    "simdrop": SimDrop(CFG(2.0), 1.0),
    "damping": ConflictDamping(CFG(7.0)),
}


def reads_per(device, job):
    """What a job reads for every step more, and for every network call more, from grids of 4 and 8 steps."""
    reads, calls = [], []
    for steps in (4, 8):
        device.clear()
        calls.append(job(steps))
        reads.append(len(device.reads))
    more = reads[1] - reads[0]
    return more / 4, more / (calls[1] - calls[0]), device.table(device.reads)


def assert_same(got, wanted, rtol=1e-12):
    assert got.device.type == NAME
    bound = closest(rtol)
    torch.testing.assert_close(got.cpu().to(wanted.dtype), wanted, rtol=bound, atol=bound)


@pytest.mark.parametrize("interpolant", [VE, FLOW], ids=["VE", "FLOW"])
@pytest.mark.parametrize("method", METHODS)
def test_inversion_and_the_way_back(device, method, interpolant):
    grid = GRIDS[interpolant](6)
    wanted = invert(network, X0, grid, interpolant, method, round_trip=True)
    found = invert(network, X0.to(NAME), grid, interpolant, method, round_trip=True)
    assert_same(found.noise, wanted.noise)
    assert_alike(found.report.to_dict(), wanted.report.to_dict(), closest(1e-9))
    back = sample(network, found.noise, grid, interpolant, solver=found.solver)
    assert_same(back, sample(network, wanted.noise, grid, interpolant, solver=wanted.solver), 1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_an_inversion_reads_once_a_step_or_call(device, method):
    def job(steps):
        return invert(network, X0.to(NAME), karras_sigmas(steps), method=method).report.calls

    per_step, per_call, table = reads_per(device, job)
    # The fixed point decides after every call whether there is another; all others only look whether all went well.
    most_per_call = 2 if method == "fixed_point" else 1
    assert per_call <= most_per_call and (per_step <= 1 or method == "fixed_point"), table


@pytest.mark.parametrize("solver", SOLVERS)
def test_solvers(device, solver):
    grid = karras_sigmas(6)
    wanted = sample(network, NOISE, grid, x0=X0, solver=solver)
    assert_same(sample(network, NOISE.to(NAME), grid, x0=X0.to(NAME), solver=solver), wanted, 1e-6)

    def job(steps):
        calls = []
        sample(lambda x, s: calls.append(s) or network(x, s), NOISE.to(NAME), karras_sigmas(steps), solver=solver)
        return len(calls)

    per_step, per_call, table = reads_per(device, job)
    assert per_step == 1 and per_call <= 1, table


@pytest.mark.parametrize("guidance", GUIDANCE.values(), ids=GUIDANCE)
def test_guidance(device, guidance):
    grid, denoise = karras_sigmas(6), guided(predict, guidance)
    wanted = sample(denoise, NOISE, grid)
    assert_same(sample(denoise, NOISE.to(NAME), grid), wanted, 1e-6)

    def job(steps):
        sample(denoise, NOISE.to(NAME), karras_sigmas(steps))
        return steps

    per_step, _, table = reads_per(device, job)
    assert per_step == 1 and not any("guidance" in read.where or "damping" in read.where for read in device.reads), (
        table
    )


@pytest.mark.parametrize("options", [{}, {"filter": "symmetric", "nu": 0.5}, {"low": 0.3, "max_std": 1.0}])
def test_calibration(device, options):
    wanted = calibrate_noise(network, X0, NOISE, 5.0, rounds=3, **options)
    found = calibrate_noise(network, X0.to(NAME), NOISE.to(NAME), 5.0, rounds=3, **options)
    assert_same(found.noise, wanted.noise, 1e-6)
    assert_alike(found.report.to_dict(), wanted.report.to_dict(), closest(1e-6))

    def job(rounds):
        return calibrate_noise(network, X0.to(NAME), NOISE.to(NAME), 5.0, rounds=rounds, **options).report.calls

    _, per_call, table = reads_per(device, job)
    assert per_call == 1, table


def test_editing(device):
    x0, noise, fresh = (value.to(NAME) for value in (X0, NOISE, OTHER))
    assert_same(blend_noise(noise, fresh, 0.3), blend_noise(NOISE, OTHER, 0.3))
    assert_same(fresh_noise(noise, 5), fresh_noise(NOISE, 5))
    grid = karras_sigmas(6)
    assert_same(renoise_low_sigmas(x0, fresh, grid, 0.5)[0], renoise_low_sigmas(X0, OTHER, grid, 0.5)[0])
    smooth = 0.1
    assert_same(restore_high_frequencies(smooth * noise, fresh), restore_high_frequencies(smooth * NOISE, OTHER), 1e-6)


@pytest.mark.parametrize("flow", [False, True], ids=["mean", "motion"])
def test_handing_over(device, flow):
    shift = torch.randn(5, 2, 8, 8, 2, generator=torch.Generator().manual_seed(3)) if flow else None
    found = []
    for place in ("cpu", NAME):
        x0, noise, other = (value.to(place) for value in (X0, NOISE, OTHER))
        motion = None if shift is None else shift.to(place)
        given = HandOver(other[:, :, 3:], other[:, :, 3:] / 2, 1, motion, 0.5)
        inversion = invert(network, x0, karras_sigmas(6))
        start, solver = handed_start(inversion.noise, inversion.solver, given)
        denoise = with_handover(network, given, 0.1)
        device.clear()
        found.append(sample(denoise, start, karras_sigmas(6), solver=solver))
    assert_same(found[1], found[0], 1e-6)
    # One a step, one for the input; where the device is the host, its own levels count too.
    assert len(device.reads) <= (7 if APART else 9), device.table(device.reads)


def test_fused_windows(device):
    spans = [range(0, 3), range(1, 5)]
    fused = guided(fused_predict([predict, predict], spans, 1), CFG(2.0))
    wanted = sample(fused, NOISE, karras_sigmas(4))
    assert_same(sample(fused, NOISE.to(NAME), karras_sigmas(4)), wanted, 1e-6)
    assert len(device.uploads) <= 3, device.table(device.uploads)  # the noise, and the weights of two windows


def test_an_inversion_is_moved_and_stored(device):
    found = invert(network, X0.to(NAME), karras_sigmas(4))
    tensors = {name: value.cpu() for name, value in found.solver.to("cpu").to_tensors().items()}
    stored = Retrace.from_tensors(tensors, "exact", "VE").to(NAME)
    assert_same(sample(network, found.noise, karras_sigmas(4), solver=stored), X0, 1e-5)


@pytest.mark.skipif(not APART, reason="the host itself")
def test_a_latent_on_another_device_is_said_in_a_sentence(device):
    with pytest.raises(UserError, match=f"noise is on {NAME}:0|x0 is on cpu and noise on {NAME}:0"):
        sample(network, NOISE.to(NAME), karras_sigmas(4), x0=X0)


@pytest.mark.parametrize("method", METHODS)
def test_a_nan_names_its_step_where_the_host_reads_once_a_step(device, method):
    def breaks(x, sigma):
        return network(x, sigma) * (float("nan") if sigma > 1 else 1.0)

    grid = karras_sigmas(6)
    with pytest.raises(UserError) as on_the_cpu:
        invert(breaks, X0, grid, method=method)
    with pytest.raises(UserError, match=r"NaN or Inf at step \d of 6 \(sigma \d") as raised:
        invert(breaks, X0.to(NAME), grid, method=method)
    assert str(raised.value) == str(on_the_cpu.value)


@pytest.mark.parametrize("method", METHODS)
def test_inversion_without_double_precision(coarse, method):
    grid = karras_sigmas(6)
    wanted = invert(network, X0, grid, method=method, state_dtype=torch.float32, round_trip=True)
    found = invert(network, X0.to(NAME), grid, method=method, round_trip=True)
    assert found.noise.dtype == torch.float32
    assert_same(found.noise, wanted.noise, 1e-4)
    assert found.report.round_trip == pytest.approx(wanted.report.round_trip, rel=0.1, abs=1e-6)


def test_the_rest_without_double_precision(coarse):
    x0, noise, fresh = (value.to(NAME) for value in (X0, NOISE, OTHER))
    calibrated = calibrate_noise(network, x0, noise, 5.0)
    assert_same(calibrated.noise, calibrate_noise(network, X0, NOISE, 5.0).noise, 1e-5)
    assert_same(restore_high_frequencies(noise / 10, fresh), restore_high_frequencies(NOISE / 10, OTHER), 1e-5)
    given = HandOver(fresh[:, :, 3:], fresh[:, :, 3:], 1, anchor=0.5)
    sample(with_handover(network, given, 0.1), noise, karras_sigmas(4))
    sample(guided(fused_predict([predict, predict], [range(0, 3), range(1, 5)], 1), CFG(2.0)), noise, karras_sigmas(4))
    with pytest.raises(UserError, match="pretend:0 has no float64; set state_dtype to float32"):
        sample(network, noise, karras_sigmas(4), state_dtype=torch.float64)
    sigmas = karras_sigmas(4).float().to(NAME)  # as a sampler on such a device holds them
    assert_same(sample(network, noise, sigmas), sample(network, NOISE, sigmas.cpu()), 1e-5)
