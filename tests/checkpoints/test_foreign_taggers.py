"""Taggers that others trained: they answer in IOB2 whatever their labels are, or do not load.

claim                                                     oracle
IO, BIOES, BILOU, BMES and bare letters become IOB2       transformers' logits, tags by hand
the entities of a gold file are scored in any scheme      a head that knows the answers: F1 is 1
labels that are not tags are refused when loading         the words
what is no tag is never answered                          a head that prefers it
gold tags in a tagger's own labels come back              hypothesis; the reader of tags
"""

from __future__ import annotations

import json
import warnings
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minift.bert.heads import TokenClassifier
from minift.bert.packing import pack
from minift.checkpoints.weights import load_encoder, load_model, load_tokenizer, save_pretrained
from minift.cli.main import main
from minift.compact.teacher import tag_labels
from minift.data.tags import from_iob2, labels_of, scheme_of, to_iob2
from minift.errors import MiniftError
from minift.runs.folder import load_run
from tests.tiny import checkpoint

WORDS = ["Ada", "Ben", "Oslo", "Rome", "film", "the"]
GOLD = ["B-PER", "I-PER", "B-LOC", "O", "O", "B-PER"]
SAID = {  # what taggers of each scheme say of them
    "io": ["PER", "PER", "LOC", "O", "O", "PER"],
    "bioes": ["B-PER", "E-PER", "S-LOC", "O", "O", "S-PER"],
    "bilou": ["B-PER", "L-PER", "U-LOC", "O", "O", "U-PER"],
    "bmes": ["B-PER", "E-PER", "S-LOC", "O", "O", "S-PER"],
    "iob1": ["I-PER", "I-PER", "I-LOC", "O", "O", "I-PER"],
    "iob2": GOLD,
}
LABELS = {
    "io": ("PER", "O", "LOC"),
    "bioes": ("O", *(f"{letter}-{type_}" for letter, type_ in product("SBIE", ("LOC", "PER")))),
    "bilou": (*(f"{letter}-{type_}" for letter, type_ in product("ULIB", ("LOC", "PER"))), "O"),
    "bmes": ("O", *(f"{letter}-{type_}" for letter, type_ in product("MBES", ("LOC", "PER")))),
    "iob1": ("O", "I-PER", "I-LOC", "B-PER"),  # as dbmdz/bert-large-cased-finetuned-conll03
    "iob2": labels_of(["LOC", "PER"]),
}


def tagger(folder, labels, said=None):
    """A checkpoint whose head says `said` of WORDS, from the states that they have together."""
    encoder = checkpoint(folder / "encoder")
    model, _ = load_model(TokenClassifier, encoder, labels=labels)
    tokenizer = load_tokenizer(encoder)
    if said is not None:
        (window,) = tokenizer.encode_words(WORDS)
        with torch.no_grad():
            bare = load_encoder(encoder)[0]
            states = bare(pack([window.input_ids]))[window.word_positions]
            wanted = torch.nn.functional.one_hot(
                torch.tensor([labels.index(tag) for tag in said]), len(labels)
            ).float()
            model.classifier.weight.copy_((torch.linalg.pinv(states) @ wanted).T * 20)
            model.classifier.bias.zero_()
    save_pretrained(model, tokenizer, folder)
    return folder


@pytest.mark.parametrize("scheme", LABELS)
def test_a_tagger_answers_in_iob2_and_is_scored_on_gold_of_any_scheme(tmp_path, capsys, scheme):
    folder = tagger(tmp_path, LABELS[scheme], SAID[scheme])
    assert load_run(folder).tag([WORDS]) == [GOLD]
    for name, tags in SAID.items():
        rows = "".join(f"{word}\t{tag}\n" for word, tag in zip(WORDS, tags))
        (tmp_path / f"{name}.conll").write_text(rows)
        assert main(["evaluate", str(folder), "--data", str(tmp_path / f"{name}.conll")]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["entity_f1"] == 1.0
        # The gold tags are its own labels; of B- and I- in IOB1 nobody knows which it was taught.
        assert (found["loss"] < 0.01) == (scheme != "iob1")


def test_predict_never_stops_within_a_file(tmp_path, capsys):
    folder = tagger(tmp_path, LABELS["bioes"])
    texts = "".join(f"{a} {b}\n" for a in WORDS for b in WORDS)
    (tmp_path / "texts.txt").write_text(texts)  # random answers, malformed ones among them
    assert main(["predict", str(folder), str(tmp_path / "texts.txt")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 36


@pytest.mark.parametrize(
    "labels",
    [
        ("LABEL_0", "LABEL_1"), ("NOUN", "VERB", "DET"), ("O", "X"), ("O",),
        ("B_PER", "I_PER", "O"), ("O", "B-PER", "NOUN"), ("O", "PER-B", "PER-I"),
        ("O", "b-PER", "i-PER"), ("O", "B–PER", "I–PER"),
    ],
)  # fmt: skip
def test_labels_that_are_not_tags_of_entities_are_refused_when_loading(tmp_path, labels):
    folder = tagger(tmp_path, labels)
    with pytest.raises(MiniftError, match=r"config\.json: \(.*not the tags of a tagger"):
        load_run(folder)
    assert load_encoder(folder)[0].config.hidden_size == 32


def test_what_is_no_tag_is_never_answered(tmp_path):
    labels = ("[PAD]", "X", "O", "B-PER", "I-PER", "[CLS]", "<pad>", "__ignore__")
    folder = tagger(tmp_path, labels)
    model, _ = load_model(TokenClassifier, folder)
    with torch.no_grad():
        model.classifier.bias[:2] += 100
    save_pretrained(model, load_tokenizer(folder), folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tuned = load_run(folder)
    assert {tag for tags in tuned.tag([WORDS, WORDS[::-1]]) for tag in tags} <= {*labels[2:5]}
    unjudged, _ = load_model(TokenClassifier, folder)  # negative control
    assert unjudged.classifier.bias.argmax() < 2


def test_a_conversion_is_told_and_a_scheme_of_other_letters_teaches_nobody(tmp_path):
    folder = tagger(tmp_path, LABELS["bilou"])
    with pytest.warns(UserWarning, match="tags are in the scheme bioes, read as iob2"):
        teacher = load_run(folder)
    with pytest.raises(MiniftError, match="the teacher's labels are"):
        tag_labels(teacher)


ENTITIES = st.lists(st.sampled_from(["O", "B-PER", "B-LOC", "I"]), min_size=1, max_size=9)


@given(ENTITIES, st.sampled_from(["bioes", "bilou", "bmes", "iob2"]))
def test_gold_tags_go_to_a_taggers_labels_and_back(drawn, scheme):
    tags = []
    for tag in drawn:  # an I continues the entity before it, if there is one
        before = tags[-1] if tags else "O"
        tags.append(f"I-{before[2:]}" if tag == "I" and before != "O" else tag.replace("I", "O"))
    own = from_iob2(tags, LABELS[scheme])
    assert set(own) <= set(LABELS[scheme])
    assert to_iob2(own, scheme_of(LABELS[scheme])[0]) == tags


def test_bare_letters_are_entities_without_a_type():
    labels = ("O", "B", "I")
    assert scheme_of(labels) == ("iob1", ("O", "B-entity", "I-entity"))
    assert from_iob2(["B-entity", "I-entity", "O"], labels) == ["B", "I", "O"]
    assert to_iob2(["B", "I", "O"], "iob1") == ["B-entity", "I-entity", "O"]
