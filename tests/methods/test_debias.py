"""Two losses against bias, proven.

claim (papers.md, 9.5)                                        oracle
1 the reversal is the identity, and -lambda times the         finite differences; a copy of the
  gradient; the adversary's own gradient is not reversed        network without a reversal, float64
2 the penalty is the mean squared change by each word, with   a plain loop over texts and words that
  its gradient through both texts; 0 if a word is ignored       runs each alone; equal embeddings
  it counts per text, as the adversary does, not per label      a set with several labels per text
2 all pieces of a word are replaced                           sequences written by hand
3 the encoder is taken over bit for bit, the head drawn       the files of the runs; torch.equal
4 strength 0 is ordinary training at every step, with         weights after each step of `full`
  dropout and clipping
5 gaps between groups                                         tests/data/test_gaps.py
6 word boundaries and casing                                  a table written by hand
7 tuning it further reads no attribute and no list            the files deleted; same bytes
8 an attribute is told worse from what it leaves, at the      a solved probe on texts that were not
  same accuracy                                                 trained on
the frozen prefix, resuming and every other path              tests/runs/test_fit.py, test_resume.py
what cannot work is refused in one sentence                   the sentence
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from torch.nn import functional as F

from minift.checkpoints.tensor_files import read_safetensors
from minift.checkpoints.tokenizer import Tokenizer
from minift.cli.main import main
from minift.data.examples import Dataset, TextExample
from minift.errors import MiniftError
from minift.methods.debias import Adversary, occluded, reverse
from minift.methods.recipes import recipe
from minift.methods.solved_head import solve
from minift.runs.evaluate import predict_logits
from minift.runs.fit import fit, rehearse
from minift.runs.train import train
from minift.runs.tuned import build
from minift.training.batches import UNLABELLED, make_batch
from minift.training.loop import Seeds, Settings, cross_entropy
from tests.runs.test_multilabel import films
from tests.tiny import SPECIAL, WORDS, checkpoint, news, reviews, similarity
from tests.training.test_loop import weights

FILES = Path(__file__).parents[1] / "runs" / "files"
LIST, ATTRIBUTES = FILES / "words.txt", FILES / "attributes.csv"
SEEDS = Seeds.all(0)
BOTH = pytest.mark.parametrize(
    "method", [f"occlusion:{LIST}", f"adversary:{ATTRIBUTES}"], ids=["occlusion", "adversary"]
)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("encoder"))


def exact(encoder: Path, name: str, data=None):
    """A model in float64 without dropout, its items, and the objective made ready for them."""
    tuned = build(data or reviews(), encoder, SEEDS)
    tuned.model.double().eval()
    items = tuned.items((data or reviews()).train)
    made = recipe(name)
    return tuned, items, made.objective.prepare(made, tuned, items, SEEDS).objective


def gradients(loss, model):
    model.zero_grad()
    loss.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=0, atol=1e-12)


# --- explanation regularisation ----------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [reviews(), similarity(), films()], ids=["classes", "numbers", "any-number-of-labels"]
)
def test_the_penalty_and_its_gradient_are_a_plain_loop_over_texts_and_words(
    encoder, data, tmp_path
):
    path = tmp_path / "list.txt"
    path.write_text("good\nbad\n", encoding="utf-8")
    tuned, items, objective = exact(encoder, f"occlusion:{path},0.3", data)
    items, tokenizer = items[:12], tuned.tokenizer
    ids = {i for i, piece in tokenizer.vocabulary() if piece in ("good", "bad")}
    ours = objective(tuned.model, make_batch(items)).mean()  # what the loop minimises
    plain = objective.__class__(("good",), 0.0)(tuned.model, make_batch(items)).mean()

    def alone(item, input_ids):
        batch = make_batch([replace(item, input_ids=input_ids)])
        return tuned.model(batch.packed, batch.wanted)[0]

    penalties = []
    for item in items:
        for place, found in enumerate(item.input_ids):
            if found in ids:
                without = list(item.input_ids)
                without[place] = tokenizer.mask_id
                change = alone(item, item.input_ids) - alone(item, without)
                penalties.append((change**2).mean())
    assert len(penalties) >= 7 and min(penalties) > 0
    expected = plain + 0.3 * sum(penalties) / len(items)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)
    same(gradients(ours, tuned.model), gradients(expected, tuned.model))


def test_a_word_that_the_model_ignores_costs_nothing(encoder):
    tuned, items, objective = exact(encoder, f"occlusion:{LIST},1")
    batch = make_batch(items)
    ours = [objective(tuned.model, batch).sum(), cross_entropy(tuned.model, batch).sum()]
    assert ours[0] - ours[1] > 1e-3  # it does not ignore them yet
    vocabulary = {piece: i for i, piece in tuned.tokenizer.vocabulary()}
    with torch.no_grad():
        table = tuned.model.bert.embeddings.word.weight
        for word in ("film", "book"):
            table[vocabulary[word]] = table[tuned.tokenizer.mask_id]
    assert objective(tuned.model, batch).sum() == cross_entropy(tuned.model, batch).sum()


PIECES = [
    "women",
    "##folk",
    "man",
    "##kind",
    "Women",
    "old",
    "deaf",
    "##ness",
    "the",
    "'",
    "s",
    "-",
]


@pytest.mark.parametrize(
    ("text", "expected", "lowercase"),
    [
        ("the women", ["the _"], False),
        ("women women", ["_ women", "women _"], False),  # each place is occluded on its own
        ("womenfolk", [], False),  # a longer word begins with it
        ("mankind man", ["mankind _", "_ _ man"], False),  # all pieces; the longest word first
        ("women's ex-women", ["_'s ex-women", "women's ex-_"], False),
        ("Women", [], False),  # as the list spells it
        ("Women", ["_"], True),  # this encoder sees no difference
        ("old man old", ["_ _ old"], False),  # an entry may have several words
        ("deafness deaf", ["deafness _"], False),
        ("the unknown", [], False),
    ],
    ids=[
        "found",
        "twice",
        "begins-a-word",
        "pieces",
        "punctuation",
        "cased",
        "uncased",
        "two-words",
        "with-and-in",
        "none",
    ],
)
def test_words_are_found_at_their_boundaries_and_as_the_encoder_spells_them(
    text, expected, lowercase
):
    pieces = [p for p in PIECES if not (lowercase and p == "Women")]
    pieces += [letter for letter in "abcdefghijklmnopqrstuvwxyz"]
    pieces += ["##" + letter for letter in "abcdefghijklmnopqrstuvwxyz"]
    tokenizer = Tokenizer.from_vocabulary([*SPECIAL, *pieces], lowercase=lowercase)
    spelled = [e.input_ids[1:-1] for e in tokenizer.encode(["mankind", "old man", "women", "man",
                                                            "deaf"])]  # fmt: skip
    inside = {i for i, piece in tokenizer.vocabulary() if piece.startswith("##")}
    (ids,) = (e.input_ids for e in tokenizer.encode([text]))
    found = [*occluded(ids, [*map(tuple, spelled)], inside, tokenizer.mask_id)]
    masked = [one.replace("_", "[MASK]") for one in expected]
    if text == "mankind man":
        masked = ["mankind [MASK]", "[MASK] [MASK] man"][::-1]
    assert found == [e.input_ids for e in tokenizer.encode(masked)]
    assert all(len(one) == len(ids) for one in found)


def test_dropout_is_off_for_the_penalty_and_as_before_afterwards(encoder):
    tuned, items, objective = exact(encoder, f"occlusion:{LIST},1")
    tuned.model.train()
    tuned.model.bert.layers[0].eval()  # as in a frozen prefix
    modes = [module.training for module in tuned.model.modules()]
    torch.manual_seed(0)
    cross_entropy(tuned.model, make_batch(items))
    expected = torch.rand(1)
    torch.manual_seed(0)
    objective(tuned.model, make_batch(items))
    assert torch.equal(torch.rand(1), expected)
    assert [module.training for module in tuned.model.modules()] == modes


# --- gradient reversal -------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [0.0, 0.25, 3.0])
def test_the_reversal_is_the_identity_and_minus_lambda_times_the_gradient(strength):
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(4, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    found = reverse(values, strength)
    assert torch.equal(found, values)
    (gradient,) = torch.autograd.grad(found, values, upstream)
    assert torch.equal(gradient, -strength * upstream)


@pytest.mark.parametrize("strength", [0.0, 0.7])
def test_the_encoder_gets_the_reversed_gradient_and_the_adversary_its_own(encoder, strength):
    tuned, items, objective = exact(encoder, f"adversary:{ATTRIBUTES},{strength}")
    model, batch = tuned.model, make_batch(items[:9])
    known = torch.tensor([objective.attributes[e] for e in batch.examples])
    assert set(known.tolist()) == {0, 1}
    ours = gradients(objective(model, batch).sum(), model)
    task = gradients(cross_entropy(model, batch).sum(), model)
    told = model.adversary(model.vectors(batch.packed, batch.wanted))
    adversary = gradients(F.cross_entropy(told, known, reduction="sum"), model)
    for name, value in adversary.items():
        own = name.startswith("adversary.")
        expected = value if own else task[name] - strength * value
        assert value.abs().max() > 0 or "key.bias" in name
        torch.testing.assert_close(ours[name], expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(ours["classifier.weight"], task["classifier.weight"])


def test_the_adversary_counts_once_per_text_however_many_labels_it_may_have(encoder):
    rows = [replace(e, label=a) for e, a in zip(films().train, ["m", "f"] * 99)]
    tuned = build(films(), encoder, SEEDS)
    tuned.model.double().eval()
    items = tuned.items(films().train)
    made = Adversary(tuple(rows), 1.0).prepare(recipe("full"), tuned, items, SEEDS)
    batch = make_batch(items[:9])
    known = torch.tensor([made.objective.attributes[e] for e in batch.examples])
    told = tuned.model.adversary(tuned.model.vectors(batch.packed, batch.wanted))
    expected = cross_entropy(tuned.model, batch).mean() + F.cross_entropy(told, known)
    ours = made.objective(tuned.model, batch).mean()
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


def test_texts_without_an_attribute_have_no_part_in_it(encoder):
    tuned, items, objective = exact(encoder, f"adversary:{ATTRIBUTES},1")
    known = dict(objective.attributes)
    some = replace(objective, attributes={**known, 0: UNLABELLED, 3: UNLABELLED})
    batch, rest = make_batch(items[:6]), make_batch([items[n] for n in (1, 2, 4, 5)])
    extra = [
        (one(tuned.model, b).sum() - cross_entropy(tuned.model, b).sum())
        for one, b in ((some, batch), (objective, rest))
    ]
    torch.testing.assert_close(*extra, rtol=0, atol=1e-12)


def test_its_rate_is_a_hundred_times_that_of_full_whatever_the_methods_and_other_scales_stay(
    encoder,
):
    for name in ("full", "bitfit", "layerwise:0.5"):
        made, tuned = recipe(f"{name}+adversary:{ATTRIBUTES},1"), build(reviews(), encoder, SEEDS)
        before = made.scales(tuned.model) if made.scales else {}
        ready = made.objective.prepare(made, tuned, tuned.items(reviews().train), SEEDS)
        for parameter, scale in ready.scales(tuned.model).items():
            if parameter.startswith("adversary."):
                assert scale * made.settings.learning_rate == pytest.approx(5e-3)
            else:
                assert scale == before.get(parameter, 1.0)


def test_states_of_a_frozen_prefix_change_nothing(encoder):
    name, found = f"freeze:1+adversary:{ATTRIBUTES},1", []
    for reads in (True, False):
        tuned, made = build(reviews(), encoder, SEEDS), recipe(name)
        tuned.model.double()
        objective = made.objective
        if not reads:
            objective = type("Bare", (Adversary,), {"reads_items": False})(
                objective.examples, objective.strength
            )
        chosen = replace(made, objective=objective, settings=Settings(epochs=2))
        fit(tuned, tuned.items(reviews().train), chosen, SEEDS)
        found.append(weights(tuned.model))
    for parameter, value in found[0].items():
        torch.testing.assert_close(value, found[1][parameter], rtol=0, atol=1e-9)


def test_what_is_there_only_to_train_is_not_counted_as_learned_or_to_be_stored(encoder):
    found = []
    for name in ("full", f"adversary:{ATTRIBUTES},1"):
        tuned, made = build(reviews(), encoder, SEEDS), recipe(name)
        items, made = tuned.items(reviews().train), replace(made, settings=Settings(epochs=1))
        rows = rehearse(tuned, items, made, SEEDS, False)
        learned = fit(tuned, items, made, SEEDS).learned
        assert learned == rows["all"].learning
        assert learned == sum(p.numel() for p in tuned.model.parameters())
        found.append(rows)
    assert found[0] == found[1]


# --- strength 0 --------------------------------------------------------------------------------


def steps_of(encoder: Path, name: str) -> list[dict]:
    """The weights of the model that answers, after each step, at the usual settings."""
    tuned, found = build(reviews(), encoder, SEEDS), []
    # with a loss of its own, if it is the usual one, the whole word table is trained in both
    made = replace(recipe("full"), objective=cross_entropy) if name == "table" else recipe(name)
    made = replace(made, settings=replace(made.settings, epochs=4, learning_rate=1e-3, clip=0.1))

    def watch(training):
        for record in training:
            own = weights(training.model)
            found.append({n: v for n, v in own.items() if not n.startswith("adversary.")})
            yield record

    fit(tuned, tuned.items(reviews().train), made, SEEDS, watch=watch)
    assert "adversary" not in dict(tuned.model.named_children())
    return found


@BOTH
def test_strength_0_is_full_at_every_step_and_strength_1_is_not(encoder, method):
    full = "table" if "occlusion" in method else "full"
    plain, none, some = (steps_of(encoder, name) for name in (full, f"{method},0", f"{method},1"))
    assert len(plain) == len(none) >= 8
    for one, other in zip(plain, none):
        assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert not all(torch.equal(value, some[-1][name]) for name, value in plain[-1].items())


# --- upstream to downstream --------------------------------------------------------------------


def downstream(labels=("no", "yes")) -> Dataset:
    data = reviews(40, seed=5)
    turn = dict(zip(data.labels, labels))

    def told(part):
        return tuple(replace(e, label=turn[e.label]) for e in part)

    return Dataset("down", "classification", labels, told(data.train), (), told(data.test))


@BOTH
def test_downstream_takes_the_encoder_bit_for_bit_with_a_head_drawn_by_seed(
    encoder, method, tmp_path
):
    up = tmp_path / "up"
    train(reviews(), encoder, f"{method},1", seeds=0, out=up, settings=Settings(epochs=1))
    saved = read_safetensors(up / "model.safetensors")[0]
    assert not [name for name in saved if "adversary" in name]
    transformers.BertForSequenceClassification.from_pretrained(up)  # a plain BERT
    for labels, new in ((("no", "yes"), False), (("negative", "positive"), True)):
        one, again, other = (
            build(downstream(labels), up, seed, new_head=new) for seed in (1, 1, 2)
        )
        for tuned in (one, again, other):
            own = weights(tuned.model)
            upstream = weights(build(reviews(), up, 0).model)
            encoders = [name for name in own if name.startswith("bert.")]
            assert len(encoders) > 30 and not tuned.kept_head
            assert all(torch.equal(own[name], upstream[name]) for name in encoders)
            assert not torch.equal(own["classifier.weight"], upstream["classifier.weight"])
        heads = [tuned.model.classifier.weight for tuned in (one, again, other)]
        assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])


@BOTH
def test_downstream_reads_neither_attributes_nor_a_list(encoder, method, tmp_path, monkeypatch):
    word, _, path = method.partition(":")
    own = tmp_path / Path(path).name
    own.write_bytes(Path(path).read_bytes())
    up = tmp_path / "up"
    train(reviews(), encoder, f"{word}:{own},1", seeds=0, out=up, settings=Settings(epochs=1))
    how = {"seeds": 3, "settings": Settings(epochs=1)}
    before = weights(train(downstream(), up, "full", **how)[0].model)
    own.unlink()
    for name in ("run.json", "result.json", "README.md", "history.jsonl"):
        (up / name).unlink()  # where the method's name, and with it the file's, stood
    after = weights(train(downstream(), up, "full", **how)[0].model)
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    with pytest.raises(MiniftError, match="no such file"):  # what does read it says so
        train(downstream(), up, f"{word}:{own},1", **how)


# --- what it is for ----------------------------------------------------------------------------


def mixed(count: int, seed: int) -> tuple[list[TextExample], list[TextExample]]:
    """Texts with a class (good, bad) and an attribute (film, book), drawn independently."""
    source, texts, attributes = random.Random(seed), [], []
    for number in range(count):
        label, attribute = source.choice(["good", "bad"]), source.choice(["film", "book"])
        rest = source.choices([w for w in WORDS if w not in ("good", "bad", "film", "book")], k=6)
        words = [label, attribute, *rest]
        source.shuffle(words)
        texts.append(TextExample(str(number), " ".join(words), label))
        attributes.append(TextExample(str(number), " ".join(words), attribute))
    return texts, attributes


def test_an_attribute_is_told_worse_from_what_the_adversary_leaves_at_the_same_accuracy(encoder):
    texts, attributes = mixed(160, 0)
    held, truth = mixed(400, 1)
    data, told = Dataset("mixed", "classification", ("bad", "good"), tuple(texts)), {}
    for strength in (0.0, 0.1):
        tuned, made = build(data, encoder, SEEDS), recipe("full")
        made = replace(
            made,
            objective=Adversary(tuple(attributes), strength),
            settings=Settings(epochs=24, learning_rate=3e-4),
        )
        fit(tuned, tuned.items(texts), made, SEEDS)
        accuracy = tuned.evaluate(held).scores["accuracy"]
        vectors = torch.cat(predict_logits(tuned.model, tuned.items(held), vectors=True))
        target = torch.tensor([int(e.label == "film") for e in truth])
        probe = solve(vectors[:200], target[:200], 2)
        answers = (vectors[200:].double() @ probe.weight.T + probe.bias).argmax(1)
        told[strength] = accuracy, float((answers == target[200:]).float().mean())
    assert told[0.0][0] > 0.9 and told[0.1][0] > told[0.0][0] - 0.03
    assert told[0.0][1] > 0.7  # what is never used is there all the same
    assert told[0.1][1] < told[0.0][1] - 0.15


# --- bad input ---------------------------------------------------------------------------------


def refused(encoder, method, data=None) -> str:
    with pytest.raises(MiniftError) as caught:
        train(data or reviews(), encoder, method, seeds=0)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("argument", ["", ",1", "f.txt", "f.txt,-1", "f.txt,nan", "f.txt,much"])
@pytest.mark.parametrize("word", ["occlusion", "adversary"])
def test_a_file_and_a_strength_are_wanted(word, argument):
    with pytest.raises(MiniftError, match=r"expected a file and a number from 0 up, e\.g\. "):
        recipe(f"{word}:{argument}")


@pytest.mark.parametrize("word", ["Ωmega", "chalk"], ids=["not in the vocabulary", "in no text"])
def test_a_list_without_a_word_of_the_texts_is_refused(word, encoder, tmp_path):
    path = tmp_path / "list.txt"
    path.write_text(f"{word}\n", encoding="utf-8")
    assert "none of the words to occlude" in refused(encoder, f"occlusion:{path},1")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("film", "a")], "of the 32 training texts nothing"),
        ([(e.text, "same") for e in reviews().train], "of the 32 training texts same; give it"),
        ([("film", ""), ("book", "")], 'a.csv: no row has an attribute; the column for it is "att'),
        ([], "file is empty"),
    ],
)
def test_an_attribute_with_one_value_is_refused(rows, words, encoder, tmp_path):
    path = tmp_path / "a.csv"
    lines = [f"{text},{attribute}" for text, attribute in rows]
    path.write_text("\n".join(["text,attribute", *lines][: len(rows) + bool(rows)]), "utf-8")
    assert words in refused(encoder, f"adversary:{path},1")


def test_a_file_without_the_column_of_attributes_is_told_what_it_is_called():
    with pytest.raises(MiniftError, match=r'no row has an attribute; .* is "attribute"$'):
        recipe("adversary:reviews,1")  # the embedded set, which has none


@BOTH
def test_words_that_are_tagged_and_a_head_that_is_solved_are_refused(encoder, method):
    assert "words are tagged here" in refused(encoder, f"{method},1", news())
    assert "a head that is solved leaves them" in refused(encoder, f"head+{method},1")
    assert 'both fill the slot "objective"' in refused(encoder, f"{method},1+weighted")


def test_a_file_that_has_changed_is_not_resumed(encoder, tmp_path):
    path, out = tmp_path / "list.txt", tmp_path / "run"
    path.write_text("film\n", encoding="utf-8")
    how = {"seeds": 0, "settings": Settings(epochs=1), "out": out}
    train(reviews(), encoder, f"occlusion:{path},1", **how)
    (out / "result.json").unlink()  # as if it had been killed
    (out / "checkpoints").mkdir()
    path.write_text("book\n", encoding="utf-8")
    with pytest.raises(MiniftError, match="another method file"):
        train(reviews(), encoder, f"occlusion:{path},1", **how)


def test_the_words_are_in_the_table_of_methods(capsys):
    assert main(["info", "--methods"]) == 0
    table = capsys.readouterr().out
    assert table.count("Jin et al. (2021)") == 2
    assert "occlusion:FILE,0.1" in table and "adversary:FILE,0.1" in table
