"""Node outputs without a value."""

from comfy_execution.graph_utils import ExecutionBlocker


def missing_output(reason: str | None) -> ExecutionBlocker:
    """The value of an output that has none: what is connected to it fails with the reason, or silently does not run
    where that is None; all else runs."""
    return ExecutionBlocker(reason)
