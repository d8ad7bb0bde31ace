"""A page to look at: OUT/index.html with every result, its verdict, figures and worst frame; no server, no network."""

from __future__ import annotations

import os
from pathlib import Path

from ...video.files import write_text
from ..results import read_results
from .html import page
from .thumbnails import FOLDER, thumbnails_of


def write_page(out: str | os.PathLike) -> Path:
    """Write OUT/index.html for what is in the batch folder now, and the thumbnails that are not there yet; the page's
    path. To be called again whenever results have come. UserError for a folder that is no batch."""
    results = read_results(out)
    (results.out / FOLDER).mkdir(exist_ok=True)
    entries = [(row, thumbnails_of(results, row)) for row in results.rows]
    target = results.out / "index.html"
    write_text(target, page(results, entries))
    return target
