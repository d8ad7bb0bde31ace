"""Paired prompts: by the grammar, from a file, by a language model; deduplicated and counted."""

import json
import math
from random import Random

import pytest
import torch

from pipeline_core.edits.diversity import diversity, format_diversity
from pipeline_core.edits.grammar import EDITS, caption_in_look, caption_in_style, edits_of, write_edits
from pipeline_core.edits.language import EXAMPLES, TRIES, load_writer, parse_answer, prompt_of
from pipeline_core.edits.triples import Triple, read_triples, unique, words, write_triples
from pipeline_core.errors import UserError
from pipeline_core.perception.captions import LOOKS
from pipeline_core.world import STYLES, caption, make_scene
from pipeline_core.world.captions import LOOK_PHRASES, description

NIGHT = Triple("a street by day", "make it night", "a street by night")
SCENE = make_scene(3)
ANSWER = 'dark", "edited_caption": "a night"}\n'


@pytest.mark.parametrize("style", [style for style in STYLES if style != "photoreal"])
def test_the_grammar_reads_every_caption_of_the_world(style):
    for seed in range(6):
        text = caption(SCENE, style, Random(seed))
        edits = edits_of(text, Random(0))
        looks = {triple.styles for triple in edits["look"]}
        if style == "synthetic":
            assert not looks and {t.styles[1] for t in edits["style"]} == {f"photoreal.{name}" for name in LOOKS}
        else:
            assert looks == {(style, f"photoreal.{name}") for name in LOOKS if f"photoreal.{name}" != style}
            assert [triple.styles for triple in edits["style"]] == [(style, "synthetic")]


def test_a_look_edit_changes_the_look_and_nothing_else():
    source = caption_in_style(description(SCENE), "photoreal.day", Random(1))
    for triple in edits_of(source, Random(2))["look"]:
        look = triple.styles[1].removeprefix("photoreal.")
        rest = triple.edited_caption
        [phrase] = [p for p in sorted(LOOK_PHRASES[look], key=len) if p in rest][-1:]
        before = max((p for p in LOOK_PHRASES["day"] if p in source), key=len)
        assert rest.replace(phrase, before) + source[source.index(", sun from") :] == source
        assert triple.kind == f"look: {look}" and triple.caption == source


def test_things_and_places_are_asked_for_as_they_change():
    edits = edits_of("city street, several cars, one pedestrian, no traffic lights", Random(0))
    [empty] = [triple for triple in edits["things"] if triple.kind == "things: no cars"]
    assert empty.edited_caption == "city street, no cars, one pedestrian, no traffic lights"
    assert "cars" in empty.instruction
    assert {t.kind for t in edits["place"]} == {"place: suburban street", "place: tree-lined avenue"}
    assert all("traffic lights" in t.instruction for t in edits["things"] if "lights" in t.kind)


def test_sentences_for_larger_models_get_sentences():
    foggy = caption_in_look("A drive through a city.", "fog")
    assert foggy == f"A drive through a city. {LOOKS['fog'].sentence}"
    edits = write_edits(foggy, 9, Random(0))
    assert {t.edited_caption for t in edits} == {
        caption_in_look("A drive through a city", n) for n in LOOKS if n != "fog"
    }
    assert len(write_edits("A drive through a city.", 9, Random(0))) == len(LOOKS)  # of a caption without a look


def test_families_come_by_turns_and_the_same_again():
    text = caption(SCENE, "photoreal.day")
    edits = write_edits(text, 4, Random(5))
    assert sorted(triple.kind.partition(":")[0] for triple in edits) == sorted(EDITS)
    assert edits == write_edits(text, 4, Random(5))
    assert {triple.kind.partition(":")[0] for triple in write_edits(text, 9, Random(5), ["look"])} == {"look"}
    with pytest.raises(UserError, match="colour"):
        write_edits(text, 1, Random(0), ["colour"])


def test_triples_are_read_as_they_were_written(tmp_path):
    triples = [NIGHT, Triple("ein Weg", "mach es größer", "ein großer Weg", "size", ("synthetic", "photoreal.day"))]
    write_triples(tmp_path / "t.jsonl", triples)
    assert read_triples(tmp_path / "t.jsonl") == triples


@pytest.mark.parametrize(
    "text, said",
    (
        ("", "holds no triples"),
        ('{"caption": "a"}\n', "Triple 1.*instruction"),
        ("[1]\n", "Line 1"),
        ('{"caption": "a", "instruction": "b", "edited_caption": "c"}\nnot json\n', "Line 2"),
        ('{"caption": "a", "instruction": "b", "edited_caption": "c", "styles": 3}\n', "styles"),
    ),
)
def test_a_file_that_holds_no_triples_is_refused(tmp_path, text, said):
    (tmp_path / "t.jsonl").write_text(text)
    with pytest.raises(UserError, match=said):
        read_triples(tmp_path / "t.jsonl")


def test_what_says_the_same_or_edits_nothing_is_dropped():
    same = Triple("A street,  by day.", "Make it night!", "a street by night", "other")
    nothing = Triple("a street by day", "make it better", "A street by day.")
    other = Triple("a street by day", "let it get dark", "a street by night")
    assert unique([NIGHT, same, nothing, other, NIGHT]) == [NIGHT, other]


def test_diversity_in_closed_form():
    kinds = [NIGHT, Triple("a b", "remove b now", "a c", "things"), Triple("a b", "remove a now", "d b", "things")]
    figures = diversity(kinds, before=5)
    assert figures["triples"] == 3 and figures["dropped"] == 2 and figures["captions"] == 2
    assert figures["edits"] == {"things": 2, "(make)": 1}
    assert figures["evenness"] == pytest.approx(
        -(math.log(1 / 3) / 3 + 2 * math.log(2 / 3) / 3) / math.log(2), abs=1e-4
    )
    spoken = [words(triple.instruction) for triple in kinds]
    assert figures["distinct_1"] == pytest.approx(len({w for s in spoken for w in s}) / 9, abs=1e-4)
    assert figures["distinct_2"] == 1.0
    assert figures["words_in"] == {"night": 1, "c": 1, "d": 1} and figures["words_out"] == {"day": 1, "b": 1, "a": 1}
    assert "things" in format_diversity(figures) and diversity([NIGHT])["evenness"] is None


def test_an_answer_counts_only_where_it_edits():
    begun = '{"caption": "a street by day", "instruction": "'
    good = begun + 'make it night", "edited_caption": "a street by night"}\nmore'
    assert parse_answer(good, NIGHT.caption) == NIGHT
    for wrong in ('make it night"}', 'make it night", "edited_caption": "a street by day"}', "night", 'x", "y": 3}'):
        assert parse_answer(begun + wrong, NIGHT.caption) is None


@pytest.fixture(scope="module")
def language_model(tmp_path_factory):
    """A small Llama that reads and writes letters, with random weights."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("language")
    letters = {letter: i + 1 for i, letter in enumerate(sorted(set(ANSWER)))} | {"#": 0}
    tokenizer = Tokenizer(models.WordLevel(letters, "#"))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Split("", "isolated"), decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="#", eos_token="\n", unk_token="#")
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    sizes = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    LlamaForCausalLM(LlamaConfig(vocab_size=len(letters), **sizes)).save_pretrained(folder)
    return folder


def test_a_language_model_writes_triples(language_model, monkeypatch):
    from transformers import AutoTokenizer, LlamaForCausalLM

    ids = AutoTokenizer.from_pretrained(language_model)(ANSWER, return_tensors="pt")["input_ids"]
    asked = []

    def generate(self, input_ids, **options):
        asked.append(options)
        return torch.cat([input_ids, ids], 1)

    monkeypatch.setattr(LlamaForCausalLM, "generate", generate)
    write = load_writer(language_model)
    assert write("a day", 1, 0) == [Triple("a day", "dark", "a night")]
    assert len(asked) == 1 and asked[0]["do_sample"]
    assert len(write("a day", 2, 0)) == 1  # the same again counts once
    assert len(asked) == 1 + 2 * TRIES


def test_a_model_that_answers_something_else_writes_nothing_and_leaves_the_generator_alone(language_model, monkeypatch):
    monkeypatch.setattr("pipeline_core.edits.language._LONGEST", 4)
    before = torch.get_rng_state()
    assert load_writer(language_model)("a day", 1, 0) == []
    assert torch.equal(torch.get_rng_state(), before)


def test_a_chat_model_is_asked_in_its_own_form_and_begun_with_the_caption():
    class Chat:
        chat_template = "there is one"

        def apply_chat_template(self, messages, tokenize, add_generation_prompt):
            assert add_generation_prompt and not tokenize
            return f"<user>{messages[0]['content']}<assistant>"

    text, begun = prompt_of(Chat(), 'a "day"', EXAMPLES)
    assert text.endswith("<assistant>" + begun) and json.loads(begun + '"}')["caption"] == 'a "day"'
    assert all(json.dumps(example.to_dict()) in text for example in EXAMPLES)
