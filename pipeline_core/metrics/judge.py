"""A vision-language model as judge: which of two pictures of one street looks more like a photograph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ..devices import chosen_device
from ..errors import UserError
from ..perception.estimators import load_network
from .base import Figure, check_pair, mean_figure

QUESTION = (
    "You see two pictures of the same street scene, first picture A, then picture B. Which of them looks more like a "
    "photograph taken by a real camera, and less like a computer graphic? Answer with the single letter A or B."
)
Ask = Callable[[Tensor, Tensor], float]  # two pictures (H, W, 3) in [0, 1] -> probability that the first is preferred


class Preference:
    """`preference`: how often a judge prefers the output to another clip, after 2511.14719's pairwise comparison.

    Every `every`-th frame is shown in both orders, because such models favour a place: p = (ask(output, other) + 1 -
    ask(other, output)) / 2. A frame counts 1 for p above 1/2, 0 below, 1/2 for equal. 0.5 in the mean is undecided.
    """

    def __init__(self, ask: Ask, against: str, every: int = 24) -> None:
        self._ask, self._against, self._every, self._frames = ask, against, every, 0
        self._votes: list[float] = []

    def update(self, output: Tensor, other: Tensor) -> None:
        """Both (T, H, W, 3) in [0, 1]."""
        output, other = check_pair(output, other, self._frames, self._against)
        for t in range(-self._frames % self._every, len(output), self._every):
            first, second = self._ask(output[t], other[t]), self._ask(other[t], output[t])
            self._votes.append(0.5 if first == second else float(first > second))
        self._frames += len(output)

    def compute(self) -> dict[str, Figure]:
        note = f"over the {self._against}, {len(self._votes)} frames in both orders"
        return {"preference": mean_figure(self._votes, "", "higher", "no frames", note)}


def load_judge(folder: str | Path, device: str | torch.device | None = None, question: str = QUESTION) -> Ask:
    """A local vision-language model (transformers, safetensors; Qwen-VL, LLaVA and their like) as a judge.

    device: where it runs, None is the best there is. Nothing is drawn at random: the answer is the model's probability
    of the letter A against B as the next token. UserError for a folder without a chat template, or whose tokenizer
    cannot tell A from B.
    """
    from transformers import AutoProcessor

    folder, device = Path(folder), chosen_device(device)
    model = load_network(folder, "AutoModelForImageTextToText", device)
    try:
        processor = AutoProcessor.from_pretrained(str(folder), local_files_only=True)
    except (ValueError, OSError, KeyError, TypeError, ImportError) as error:
        line = str(error).strip().splitlines()[0]
        raise UserError(f"{folder} has no processor that can be read ({line}): give a whole model folder.") from error
    if getattr(processor, "chat_template", None) is None:
        raise UserError(f"{folder} has no chat template: give a model that was tuned to answer questions.")
    letters = [processor.tokenizer(letter, add_special_tokens=False)["input_ids"] for letter in "AB"]
    if letters[0][-1:] == letters[1][-1:]:
        raise UserError(f"The tokenizer of {folder} does not know the letters A and B: give another model.")
    content = [{"type": "image"}, {"type": "image"}, {"type": "text", "text": question}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)

    @torch.no_grad()
    def ask(first: Tensor, second: Tensor) -> float:
        from PIL import Image

        pictures = [
            Image.fromarray((picture.clamp(0, 1) * 255).round().byte().cpu().numpy()) for picture in (first, second)
        ]
        inputs = processor(images=pictures, text=[text], return_tensors="pt").to(device)
        logits = model(**inputs).logits[0, -1].float()
        return float(logits[[letter[-1] for letter in letters]].softmax(0)[0])

    return ask
