"""Python packages that only some nodes need: without one the pack still loads, and such a node says what to install."""

from importlib.util import find_spec

from ...pipeline_core.errors import UserError


def require_packages(*names: str) -> None:
    """UserError naming the first package that is not installed."""
    for name in names:
        if find_spec(name) is None:
            raise UserError(
                f"This node needs the Python package {name}, which is not installed: run pip install -r "
                "requirements.txt with ComfyUI's Python in the folder of this pack."
            )
