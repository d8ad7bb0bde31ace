"""Checks on LATENT inputs that several nodes share."""

from collections.abc import Mapping

import torch

from ...pipeline_core.errors import UserError


def require_content(latent: Mapping, name: str = "latent") -> None:
    """An empty latent is a wiring mistake wherever the source clip is meant."""
    samples = latent["samples"]
    if not getattr(samples, "is_nested", False) and torch.count_nonzero(samples) == 0:
        raise UserError(f"{name} is an empty latent; connect a VAE Encode of the clip instead.")
