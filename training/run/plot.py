"""A run's picture: what it learnt from, and what tuning scenes say, against CPU hours."""

from __future__ import annotations

from pathlib import Path

from pipeline_core.video.files import atomic_file, remove_unfinished

from .log import RunLog

# Okabe and Ito's, which colour-blind readers can tell apart.
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"


def plot_run(log: RunLog, path: Path) -> None:
    """Write the PNG whole or not at all."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (errors, vae, jobs) = pyplot.subplots(1, 3, figsize=(15, 4.2), layout="constrained")
    losses, figures = log.entries("loss"), log.entries("figures")
    hours = [entry["cpu_hours"] for entry in figures]

    points = [(e["cpu_hours"], e["loss"]) for e in losses if e["task"] == "dit"]
    if points:
        errors.plot(*zip(*points), color="0.8", linewidth=0.8, label="training loss")
    for exponent, colour in zip(figures[-1]["error"] if figures else (), (BLUE, ORANGE, GREEN)):
        values = [entry["error"][exponent] for entry in figures]
        errors.plot(hours, values, color=colour, marker="o", markersize=3, label=f"tuning, average {exponent}")
    errors.set(title="DiT: prediction error", xlabel="CPU hours")

    for kind, colour in (("photoreal", BLUE), ("synthetic", ORANGE)):
        values = [entry[f"vae_{kind}"] for entry in figures]
        vae.plot(hours, values, color=colour, marker="o", markersize=3, label=kind)
    vae.set(title="VAE: PSNR of tuning scenes, dB", xlabel="CPU hours")

    for name, label, colour in (("psnr", "all pixels", GREEN), ("sign_psnr", "signs", RED)):
        jobs.plot(hours, [entry[name] for entry in figures], color=colour, marker="o", markersize=3, label=label)
    jobs.set(title="Whole jobs: PSNR to the photoreal twin, dB", xlabel="CPU hours")

    for axis in (errors, vae, jobs):
        axis.grid(alpha=0.3)
        if axis.has_data():
            axis.legend(fontsize=8)
    remove_unfinished(path)
    with atomic_file(path) as unfinished:
        figure.savefig(unfinished, dpi=110, format="png")
    pyplot.close(figure)
