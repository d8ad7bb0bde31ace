"""Train the embedded model's byte-level BPE tokenizer on the captions of the rendered scenes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"


def read_captions(path: Path) -> dict[str, list[str]]:
    """Captions of one shard, {style key: [sentences]}, from its safetensors metadata."""
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as shard:
        return json.loads(shard.metadata()["captions"])


def train_tokenizer(captions: Iterable[str], vocab_size: int = 1024):
    """PreTrainedTokenizerFast over bytes: any user text encodes; ids 0, 1, 2 are padding, end and unknown.

    Text is lower-cased first, so that a capital letter does not turn a known word into unknown pieces.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, END, UNKNOWN],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer=trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, tokenizer.token_to_id(END))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, unk_token=UNKNOWN, padding_side="right"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=Path, default=Path("training/data/scenes"))
    parser.add_argument("--out", type=Path, default=Path("models/embedded/tokenizer"))
    parser.add_argument("--vocab-size", type=int, default=1024)
    args = parser.parse_args()
    captions = [
        sentence
        for path in sorted(args.scenes.glob("scene_*.safetensors"))
        for sentences in read_captions(path).values()
        for sentence in sentences
    ]
    tokenizer = train_tokenizer(captions, args.vocab_size)
    tokenizer.save_pretrained(args.out)
    longest = max(len(ids) for ids in tokenizer(captions)["input_ids"])
    print(f"{len(tokenizer)} tokens from {len(captions)} captions; the longest caption takes {longest}")


if __name__ == "__main__":
    main()
