"""Node outputs without a value."""

from comfy_execution.graph_utils import ExecutionBlocker


def missing_output(reason: str) -> ExecutionBlocker:
    """The value of an output that has none: what is connected to it fails with the reason, all else runs."""
    return ExecutionBlocker(reason)
