"""The core's reports as a few lines for the node and as JSON for a wire."""

import json

from ...pipeline_core.diffusion.calibration import CalibrationReport
from ...pipeline_core.diffusion.inversion.report import InversionReport
from ...pipeline_core.job.plan import Report
from ...pipeline_core.job.settings import EnhanceSettings


def inversion_text(report: InversionReport) -> tuple[str, str]:
    """(lines for the node, JSON)."""
    statistics = report.statistics
    lines = [
        f"{report.method}, {report.steps} steps, sigma {report.sigma_max:.4g} to {report.sigma_min:.4g}",
        f"model calls: {report.calls} here, {report.calls_back} on the way back",
    ]
    if report.round_trip is not None:
        lines.append(f"round-trip error: {report.round_trip:.2e}")
    kurtosis = sum(statistics["excess_kurtosis"]) / len(statistics["excess_kurtosis"])
    lines.append(f"noise std {statistics['std_all']:.3f}, excess kurtosis {kurtosis:.2f} (pure noise: 1 and 0)")
    return "\n".join([*lines, *report.notes]), json.dumps(report.to_dict())


def start_text(settings: EnhanceSettings, report: dict) -> tuple[str, str]:
    """(lines for the node, JSON) of what `enhance_latent` reports."""
    text = f"start: {settings.start}, cfg {settings.cfg:g}"
    if "inversion" in report:
        text = inversion_text(InversionReport(**report["inversion"]))[0]
    elif "calibration" in report:
        text = calibration_text(CalibrationReport(**report["calibration"]))[0]
    return text, json.dumps(report)


def calibration_text(report: CalibrationReport) -> tuple[str, str]:
    """(lines for the node, JSON)."""
    residuals = " -> ".join(f"{value:.3f}" for value in report.residuals)
    lines = [
        f"{report.rounds} rounds at sigma {report.sigma:.4g}, nu {report.nu:g}, {report.calls} model calls",
        f"low-frequency residual: {residuals}",
        f"noise std: {report.std[0]:.3f} -> {report.std[-1]:.3f}",
    ]
    return "\n".join([*lines, *report.notes]), json.dumps(report.to_dict())


def job_text(report: Report) -> str:
    """The report in a few lines: cost, resolved settings, warnings, remarks."""
    plan, settings = report.plan, report.settings
    controls = ", ".join(f"{name} {weight:.2g}" for name, weight in plan["controls"].items())
    count, fresh = len(plan["windows"]), settings["noise_blend"]
    return "\n".join(
        [
            f"{plan['frames']} frames in {count} window{'s' if count > 1 else ''} of up to {plan['window']}, "
            f"{plan['compute_factor']:.2f} x the frames computed",
            f"{settings['start']}, strength {settings['strength']:.3g}, cfg {settings['cfg']:.3g}, "
            f"{settings['steps']} steps, seed {settings['seed']}",
            *([f"noise_blend {fresh:.2g}: so much of the inverted noise is fresh"] if fresh else []),
            f"controls: {controls}" if controls else "controls: none",
            f"prompt: {settings['prompt']}",
            *(f"warning: {warning}" for warning in report.warnings),
            *report.notes,
        ]
    )
