"""A whole small world for behavioural tests: a checkpoint, a tokenizer and data sets.

The encoder is random and small, so nothing is fetched and a run takes a second. The texts can
be learned from single words: "good" and "bad" decide the class.
"""

from __future__ import annotations

import random
from pathlib import Path

import torch

from minift.bert.config import BertConfig
from minift.bert.masked_lm import MaskedLM
from minift.checkpoints.tokenizer import Tokenizer
from minift.checkpoints.weights import random_model, save_pretrained
from minift.data.examples import Dataset, TaggedExample, TextExample

WORDS = "good bad film book the a was is very not and it plot end I saw on in at by".split()  # noqa: SIM905
NAMES = "Ada Ben Cleo Dora Enzo Fay".split()  # noqa: SIM905
PLACES = "Oslo Rome Lima Kyiv Bern Cork".split()  # noqa: SIM905
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def checkpoint(directory: Path, seed: int = 0) -> Path:
    """Write a small random BERT with its tokenizer; return the folder."""
    vocabulary = [*SPECIAL, *WORDS, *NAMES, *PLACES, *"abcdefghijklmnopqrstuvwxyz.,!?'"]
    vocabulary += ["##" + letter for letter in "abcdefghijklmnopqrstuvwxyz"]
    tokenizer = Tokenizer.from_vocabulary(vocabulary, lowercase=False)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.1,
    )
    model = random_model(MaskedLM, config, torch.Generator().manual_seed(seed))
    save_pretrained(model, tokenizer, directory)
    return directory


def reviews(count: int = 64, seed: int = 0) -> Dataset:
    """Texts whose class is decided by one word; a quarter each for dev and test."""
    source = random.Random(seed)

    def draw(number: int) -> TextExample:
        label = source.choice(["negative", "positive"])
        words = source.choices(WORDS[2:], k=source.randint(2, 9))
        words.insert(source.randrange(len(words)), "good" if label == "positive" else "bad")
        return TextExample(str(number), " ".join(words), label)

    examples = [draw(number) for number in range(count)]
    held = count // 4
    return Dataset(
        "tiny-reviews",
        "classification",
        ("negative", "positive"),
        tuple(examples[2 * held :]),
        tuple(examples[:held]),
        tuple(examples[held : 2 * held]),
    )


def news(count: int = 48, seed: int = 0) -> Dataset:
    """Sentences with persons and places from closed lists."""
    source = random.Random(seed)

    def draw(number: int) -> TaggedExample:
        words, tags = [], []
        for _ in range(source.randint(3, 8)):
            kind = source.random()
            if kind < 0.2:
                words.append(source.choice(NAMES))
                tags.append("B-PER")
            elif kind < 0.4:
                words.append(source.choice(PLACES))
                tags.append("B-LOC")
            else:
                words.append(source.choice(WORDS))
                tags.append("O")
        return TaggedExample(str(number), tuple(words), tuple(tags))

    examples = [draw(number) for number in range(count)]
    held = count // 4
    return Dataset(
        "tiny-news",
        "tagging",
        ("O", "B-LOC", "I-LOC", "B-PER", "I-PER"),
        tuple(examples[2 * held :]),
        tuple(examples[:held]),
        tuple(examples[held : 2 * held]),
        metric="entity_f1",
    )


def similarity(count: int = 48, seed: int = 0) -> Dataset:
    """Pairs of texts whose number is how often "good" occurs in both."""
    source = random.Random(seed)

    def draw(number: int) -> TextExample:
        texts = [" ".join(source.choices(WORDS[:4], k=4)) for _ in range(2)]
        return TextExample(
            str(number), texts[0], float(sum(t.count("good") for t in texts)), texts[1]
        )

    examples = [draw(number) for number in range(count)]
    held = count // 4
    return Dataset(
        "tiny-similarity",
        "regression",
        (),
        tuple(examples[2 * held :]),
        tuple(examples[:held]),
        tuple(examples[held : 2 * held]),
        metric="pearson_spearman",
    )


def tokens_seen(monkeypatch, module) -> list[int]:
    """Return a list: tokens of each batch in the lowest layer of what `module` builds."""
    seen: list[int] = []
    plain = module.build

    def build(*args, **options):
        tuned = plain(*args, **options)
        hook = tuned.model.bert.layers[0].register_forward_hook
        hook(lambda _, inputs, __: seen.append(len(inputs[0])))
        return tuned

    monkeypatch.setattr(module, "build", build)
    return seen
