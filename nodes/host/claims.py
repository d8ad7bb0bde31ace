"""A claim that lasts as long as the prompt that made it, and what became of that prompt."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_EVERY = 0.2  # seconds between two looks


def while_prompt_runs(touch: Callable[[], None], ended: Callable[[str | None], None]) -> None:
    """Call `touch` now and then until the prompt that runs now is over, then `ended` with what went wrong in it, in one
    sentence: None after a success and after a cancel."""
    from server import PromptServer  # there is one only where ComfyUI serves

    queue, prompt = PromptServer.instance.prompt_queue, PromptServer.instance.last_prompt_id

    def watch() -> None:
        while _is_running(queue, prompt):
            touch()
            time.sleep(_EVERY)
        ended(_failure(queue, prompt))

    threading.Thread(target=watch, daemon=True, name="video-realism-claim").start()


def _is_running(queue, prompt: str) -> bool:
    with queue.mutex:
        return any(item[1] == prompt for item in queue.currently_running.values())


def _failure(queue, prompt: str) -> str | None:
    with queue.mutex:
        status = (queue.history.get(prompt) or {}).get("status") or {}
    for event, said in status.get("messages", ()):
        if event == "execution_error":
            lines = str(said.get("exception_message", "")).strip().splitlines()
            return f"The node {said.get('node_type')} failed: {lines[0] if lines else said.get('exception_type')}"
    return None
