"""Special tokens by family: read off the tokenizer, not known by heart."""

from __future__ import annotations

from tokenizers import Tokenizer, models, pre_tokenizers, processors

from pipelines.model.special_tokens import special_tokens

VOCABULARY = {"[CLS]": 0, "[SEP]": 1, "</s>": 2, "a": 3}


def tokenizer(single: str = "", pair: str = "") -> Tokenizer:
    made = Tokenizer(models.WordLevel(VOCABULARY, unk_token="a"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    tokens = [(token, number) for token, number in VOCABULARY.items() if token != "a"]
    if single:
        made.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=tokens)
    return made


def test_bert_has_them_around_and_between() -> None:
    found = special_tokens(tokenizer("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"))
    assert [ids.tolist() for ids in (found.before, found.after, found.between, found.end)] == [[0], [1], [1], [1]]
    assert (found.num_single, found.num_pair, found.has_types) == (2, 3, True)


def test_roberta_has_two_between() -> None:
    found = special_tokens(tokenizer("[CLS] $A </s>", "[CLS] $A </s> </s> $B </s>"))
    assert (found.between.tolist(), found.num_pair, found.has_types) == ([2, 2], 4, False)


def test_t5_has_one_behind_and_gpt2_none() -> None:
    t5 = special_tokens(tokenizer("$A </s>", "$A </s> $B </s>"))
    assert [ids.tolist() for ids in (t5.before, t5.after, t5.between, t5.end)] == [[], [2], [2], [2]]
    gpt2 = special_tokens(tokenizer())
    assert (gpt2.num_single, gpt2.num_pair) == (0, 0)
