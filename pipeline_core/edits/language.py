"""Paired prompts by a local language model, as InstructPix2Pix (2211.09800) and InsV2V have theirs written."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ..devices import chosen_device
from ..doors import parse_json
from ..errors import UserError
from ..perception.estimators import load_network
from .triples import Triple, unique

_TASK = (
    "You write edits of driving videos. For a caption you write an instruction that changes one thing (light, weather, "
    "season, place, vehicles, people or style) and the caption after the edit, which is the same in everything else. "
    "Every answer is one line of JSON."
)
# The form of an answer; their captions are nobody's.
EXAMPLES = (
    Triple(
        "A car drives through a wide avenue on a bright afternoon.",
        "make it a snowy morning",
        "A car drives through a wide avenue on a snowy morning.",
    ),
    Triple(
        "A bus waits at a red light beside a park.",
        "swap the bus for a delivery van",
        "A delivery van waits at a red light beside a park.",
    ),
    Triple(
        "Cyclists follow a quiet road between fields under a clear sky.",
        "let a storm come up",
        "Cyclists follow a quiet road between fields under dark storm clouds.",
    ),
)
TRIES = 3  # answers that are asked for, for every triple that is wanted
_LONGEST = 160  # tokens of an answer

Writer = Callable[[str, int, int], list[Triple]]


def load_writer(folder: str | Path, device: str | torch.device | None = None) -> Writer:
    """Callable (caption, count, seed) -> up to `count` different triples, by a causal language model's folder.

    folder: transformers' layout with safetensors and a tokenizer; nothing is downloaded. Answers are drawn (top-p .9)
    from `seed`; those that are not the JSON that was asked for, or edit nothing, do not count, and after TRIES answers
    for each wanted triple there are no more. device: None is the best there is. UserError for another folder.
    """
    from transformers import AutoTokenizer

    from ..doors import loading

    folder, device = Path(folder), chosen_device(device)
    model = load_network(folder, "AutoModelForCausalLM", device)
    if model.dtype == torch.float16 and device.type == "cpu":
        model = model.float()  # half precision is a hundred times slower there
    with loading(folder, "a tokenizer", "give a whole folder of a language model"):
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)

    def answer(text: str, seed: int) -> str:
        tokens = tokenizer(text, return_tensors="pt", add_special_tokens=not tokenizer.chat_template).to(device)
        ids, mask = tokens["input_ids"], tokens["attention_mask"]
        # Drawing takes torch's own generator, which is put back after.
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), torch.no_grad():
            torch.manual_seed(seed)
            whole = model.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=_LONGEST, do_sample=True, top_p=0.9,
                pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id,
            )  # fmt: skip
        return tokenizer.decode(whole[0, ids.shape[1] :], skip_special_tokens=True)

    def write(caption: str, count: int, seed: int) -> list[Triple]:
        triples: list[Triple] = []
        for attempt in range(TRIES * count):
            # Another order of the examples, for another answer.
            text, begun = prompt_of(tokenizer, caption, EXAMPLES[attempt % 3 :] + EXAMPLES[: attempt % 3])
            triple = parse_answer(begun + answer(text, (seed + attempt) % 2**63), caption)
            triples = unique([*triples, *([triple] if triple else [])])
            if len(triples) == count:
                break
        return triples

    return write


def prompt_of(tokenizer, caption: str, examples: Sequence[Triple]) -> tuple[str, str]:
    """The text that a model goes on from, and how the answer in it begins: with the caption, so that it cannot be
    another one. In the model's own chat form where it has one."""
    begun = f'{{"caption": {json.dumps(caption)}, "instruction": "'
    lines = "\n".join(json.dumps(example.to_dict()) for example in examples)
    if not tokenizer.chat_template:
        return f"{_TASK}\n{lines}\n{begun}", begun
    asked = f"{_TASK} For example:\n{lines}\nThe caption: {caption}"
    messages = [{"role": "user", "content": asked}]
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) + begun, begun


def parse_answer(text: str, caption: str) -> Triple | None:
    """The triple in an answer's first line; None where there is none, or one that changes nothing."""
    try:
        values = parse_json(text.strip().split("\n")[0].strip(), "the answer", "ask again")
    except UserError:
        return None
    instruction, edited = values.get("instruction"), values.get("edited_caption")
    if not all(isinstance(value, str) and value.strip() for value in (instruction, edited)):
        return None
    triple = Triple(caption, " ".join(instruction.split()), " ".join(edited.split()))
    return triple if unique([triple]) else None
