"""Command-line options that the scripts share."""

from __future__ import annotations

import argparse


def server_options(description: str, **settings) -> argparse.ArgumentParser:
    """A parser that knows --server; its description is the first line of a script's docstring."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0], **settings)
    server = {"default": "127.0.0.1:8188", "metavar": "HOST:PORT"}
    parser.add_argument("--server", **server, help="a running ComfyUI with this pack; default: %(default)s")
    return parser
