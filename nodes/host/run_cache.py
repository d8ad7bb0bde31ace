"""What is prepared once and kept for the length of a sampling run, in the run's own model_options."""

HANDLER = "context_handler"  # where ComfyUI looks for what cuts a latent into windows
WINDOWS = "video_realism_windows"


def run_cache(model_options: dict) -> dict:
    """What windows prepared once and keep for the length of a run, whose own model_options these are."""
    return model_options.setdefault(WINDOWS, {})
