"""Token maps of Prompt-to-Prompt: closed forms on short captions, and what no map may lose."""

import itertools
import random

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from pipeline_core.edits.alignment import common_subsequence, read_tokens, token_map
from pipeline_core.errors import UserError
from pipeline_core.models.folders.loading import EMBEDDED, load_tokenizer

LENGTH = 8


@pytest.fixture(scope="module")
def letters():
    """A tokenizer with a token for every letter; an end token follows."""
    vocabulary = {token: i for i, token in enumerate(["<pad>", "</s>", "?", *"abcdefghij"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, "?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Split("", "isolated")]
    )
    tokenizer.post_processor = processors.TemplateProcessing("$A </s>", None, [("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>")


def test_tokens_know_their_words(letters):
    tokens = read_tokens(letters, " ab c", LENGTH)
    assert tokens.words == [0, 0, 1, None, None, None, None, None] and tokens.count == 2
    assert tokens.real == [True] * 4 + [False] * 4


def test_the_same_caption_maps_onto_itself(letters):
    for alignment in ("words", "refine", "auto"):
        tokens = token_map(letters, "ab c", "ab c", LENGTH, alignment=alignment)
        assert torch.equal(tokens.taken, torch.eye(LENGTH)[None]) and not tokens.own.any()


def test_a_word_in_anothers_place_takes_its_attention(letters):
    tokens = token_map(letters, "ab c d", "ab ef d", LENGTH)
    assert tokens.alignment == "words"
    expected = torch.zeros(LENGTH, LENGTH)
    expected[[0, 1, 3, 4], [0, 1, 4, 5]] = 1  # ab, d, the end
    expected[2, [2, 3]] = 0.5  # c in two tokens
    expected[[5, 6, 7], [6, 7, 7]] = 1  # padding, of which the edit has less
    assert torch.equal(tokens.taken[0], expected)


@pytest.mark.parametrize("pair", list(itertools.permutations(("ab c d", "a bcd ef", "abc d e"), 2)))
def test_no_attention_is_lost_among_equally_many_words(letters, pair):
    tokens = token_map(letters, *pair, LENGTH, alignment="words")
    maps = torch.rand(5, LENGTH).softmax(1)
    assert torch.allclose((maps @ tokens.taken[0]).sum(1), torch.ones(5))


def test_new_words_keep_their_own_attention(letters):
    tokens = token_map(letters, "ab c", "ab ef c", LENGTH)
    assert tokens.alignment == "refine"
    expected = torch.zeros(LENGTH, LENGTH)
    expected[[0, 1, 2, 3, 4, 5], [0, 1, 4, 5, 6, 7]] = 1
    assert torch.equal(tokens.taken[0], expected)
    assert tokens.own[0].tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


def test_words_need_equally_many(letters):
    with pytest.raises(UserError, match="2 and 3 words.*refine"):
        token_map(letters, "ab c", "ab c d", LENGTH, alignment="words")
    with pytest.raises(UserError, match="alignment"):
        token_map(letters, "a", "b", LENGTH, alignment="other")


def test_the_longest_common_subsequence_is_the_longest():
    rng = random.Random(0)
    for _ in range(50):
        a, b = ([rng.randrange(3) for _ in range(rng.randrange(7))] for _ in range(2))
        pairs = common_subsequence(a, b)
        assert all(a[i] == b[j] for i, j in pairs)
        assert all(i < k and j < m for (i, j), (k, m) in itertools.pairwise(pairs))
        longest = max(len(some) for n in range(len(a) + 1) for some in itertools.combinations(a, n) if _inside(some, b))
        assert len(pairs) == longest


def _inside(some, b):
    rest = iter(b)
    return all(value in rest for value in some)


def test_captions_of_the_embedded_model_keep_what_is_the_same():
    tokenizer = load_tokenizer(EMBEDDED)
    source = "a photorealistic dashcam video, on a clear sunny day, a city street"
    tokens = token_map(tokenizer, source, source.replace("on a clear sunny day", "in thick fog"), 64)
    ids = tokenizer(source.replace("on a clear sunny day", "in thick fog"))["input_ids"]
    new = [token for token, own in zip(tokenizer.convert_ids_to_tokens(ids), tokens.own[0]) if own]
    assert [token.lstrip("Ġ") for token in new] == ["in", "thick", "fog"]
