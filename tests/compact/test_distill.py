"""The objective and the training.

claim                                                        oracle
KL is 0 with gradient 0 iff the two agree; the reference's   hand-drawn logits; torch's kl_div;
  "mse" is neither, and pulls to the uniform distribution    minimising each from the same start
T^2 keeps the gradient: (z_s - z_t, centred) / (K B)         that limit, at T = 8
KL(teacher || student), not the other way round              two coins, by hand
a mixed batch is the mean over its words                     each sentence alone
weight and threshold of pseudo-labels touch no gold word     gradients of the logits, word by word
without teacher and text it is supervised training           a plain loop with torch.optim.Adam
a CRF without transitions is taught like softmax             the softmax student
the best weights are the ones kept                           copies made at each look
a taught student beats labels alone on a toy                 three seeds of both, same steps
"""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from minift.bert.dropout import set_dropout_generator
from minift.compact.distill import (
    Distillation,
    Lesson,
    gold_lessons,
    objective,
    pseudo_lessons,
    soft_losses,
    teach,
)
from minift.compact.student import Student, new_student
from minift.compact.tagger import Tagger, TaggerConfig
from minift.compact.teacher import teacher_logits
from minift.compact.vocabulary import build_vocabulary
from minift.data.examples import TaggedExample
from minift.data.metrics import headline
from minift.errors import MiniftError
from minift.runs.steps import stream
from minift.training.batches import UNLABELLED
from minift.training.loop import Seeds
from tests.compact.world import tiny_teacher
from tests.tiny import news

LABELS = ("O", "B-LOC", "B-PER")
TEXT = [("Ada", "saw", "Oslo"), ("at",), ("Enzo", "and", "Fay", "in", "Rome")]


def draw(*shape: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    source = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, generator=source, dtype=torch.float64)


def small(head: str = "softmax", seed: int = 0, **sizes) -> Student:
    vocabulary = build_vocabulary(TEXT, min_count=1)
    config = TaggerConfig(
        vocabulary.word_rows, vocabulary.character_rows, labels=3, word_size=5, character_size=4,
        filters=6, hidden=7, head=head, **sizes,
    )  # fmt: skip
    model = Tagger(config, torch.Generator().manual_seed(seed)).double().eval()
    if model.crf is not None:
        with torch.no_grad():
            for n, parameter in enumerate(model.crf.parameters()):
                parameter.copy_(draw(*parameter.shape, seed=n))
    return Student(model, vocabulary, LABELS)


def lessons_of_text() -> list[Lesson]:
    gold = [[2, 0, 1], [0], [2, 0, UNLABELLED, 0, 1]]
    weights = [1.0, 0.5, 0.25]
    beliefs = [draw(len(words), 3, seed=n) for n, words in enumerate(TEXT)]
    return [Lesson(*parts) for parts in zip(TEXT, gold, weights, beliefs)]


def close(got, wanted, atol=1e-10):
    torch.testing.assert_close(got, wanted, rtol=0, atol=atol)


# the term that compares beliefs


@given(st.integers(0, 10_000), st.sampled_from([0.5, 1.0, 2.0, 8.0]), st.floats(0.1, 3))
@settings(max_examples=40, deadline=None)
def test_kl_is_zero_without_gradient_where_the_two_agree_and_positive_elsewhere(seed, T, distance):
    teacher = draw(5, 4, seed=seed, scale=3.0)
    shift = draw(5, 1, seed=seed + 1)  # a constant for each word changes no probability
    student = (teacher + shift).requires_grad_()
    loss = soft_losses((student / T).log_softmax(1), teacher, T).sum()
    close(loss.detach(), torch.zeros((), dtype=torch.float64))
    close(torch.autograd.grad(loss, student)[0], torch.zeros_like(student))
    away = teacher.clone()
    away[:, 0] += distance
    assert (soft_losses((away / T).log_softmax(1), teacher, T) > 0).all()


def test_kl_is_that_of_torch_and_its_direction_is_teacher_to_student():
    teacher, student = draw(6, 4, seed=1), draw(6, 4, seed=2)
    T = 2.5
    log_student, p = (student / T).log_softmax(1), (teacher / T).softmax(1)
    close(
        soft_losses(log_student, teacher, T).mean(),
        T**2 * F.kl_div(log_student, p, reduction="batchmean"),
    )
    coin, fair = torch.tensor([[0.9, 0.1]]).log(), torch.tensor([[0.5, 0.5]]).log()
    wanted = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)  # 0.368
    other_way = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)  # 0.511
    got = float(soft_losses(fair, coin, 1.0))
    assert got == pytest.approx(wanted, abs=1e-6)
    assert abs(got - other_way) > 0.1


def test_t_squared_keeps_the_gradient_at_centred_difference_over_labels_and_words():
    words, labels = 6, 5
    teacher, student = (
        draw(words, labels, seed=1, scale=0.1),
        draw(words, labels, seed=2, scale=0.1),
    )
    difference = student - teacher
    limit = (difference - difference.mean(1, keepdim=True)) / (labels * words)

    def gradient(T: float) -> torch.Tensor:
        z = student.clone().requires_grad_()
        loss = soft_losses((z / T).log_softmax(1), teacher, T).mean()
        return torch.autograd.grad(loss, z)[0]

    away = [float((gradient(T) - limit).norm() / limit.norm()) for T in (1.0, 2.0, 4.0, 8.0)]
    assert away == sorted(away, reverse=True)
    assert float(gradient(8.0).norm()) == pytest.approx(float(limit.norm()), rel=0.01)
    assert away[-1] < 0.01
    # without the square, T = 8 would count a 64th
    close(
        gradient(8.0) / 64, torch.autograd.grad(_without_square(student, teacher, 8.0), student)[0]
    )


def _without_square(student, teacher, T):
    log_student = (student.requires_grad_() / T).log_softmax(1)
    return F.kl_div(log_student, (teacher / T).softmax(1), reduction="batchmean")


def test_the_references_mse_is_not_zero_where_the_two_agree_and_pulls_to_uniform():
    p = torch.tensor([[0.04, 0.04, 0.58, 0.34]], dtype=torch.float64)
    teacher = p.log()
    same = teacher.clone().requires_grad_()
    mse = soft_losses(same.log_softmax(1), teacher, 1.0, "mse")
    close(mse.detach(), ((p.log() - p) ** 2).mean(1))
    assert float(mse.detach()) > 1
    assert float(torch.autograd.grad(mse.sum(), same)[0].norm()) > 0.1

    found = {}
    for loss in ("kl", "mse"):
        z = teacher.clone().requires_grad_()  # begin at the teacher itself
        optimizer = torch.optim.LBFGS([z], max_iter=200, line_search_fn="strong_wolfe")

        def closure(z=z, loss=loss, optimizer=optimizer):
            optimizer.zero_grad()
            value = soft_losses(z.log_softmax(1), teacher, 1.0, loss).sum()
            value.backward()
            return value

        optimizer.step(closure)
        found[loss] = z.detach().softmax(1)
    close(found["kl"], p, atol=1e-6)
    uniform = torch.tensor([[0.23, 0.23, 0.28, 0.26]], dtype=torch.float64)
    close(found["mse"], uniform, atol=0.01)  # a teacher sure of .58 teaches "I do not know"


def test_the_teachers_logits_get_no_gradient():
    teacher = draw(3, 4).requires_grad_()
    student = draw(3, 4, seed=1).requires_grad_()
    soft_losses(student.log_softmax(1), teacher, 2.0).sum().backward()
    assert teacher.grad is None
    assert student.grad is not None


# the objective


@pytest.mark.parametrize("head", ["softmax", "crf"])
@pytest.mark.parametrize("loss", ["kl", "mse"])
def test_a_mixed_batch_is_the_mean_over_its_words_so_padding_adds_nothing(head, loss):
    student, lessons = small(head), lessons_of_text()
    how = Distillation(label_weight=0.7, teacher_weight=0.4, temperature=2.0, loss=loss)
    together = objective(student, lessons, how)
    alone = [objective(student, [lesson], how) * len(lesson.words) for lesson in lessons]
    close(together, sum(alone) / 9)
    close(together, objective(student, lessons[::-1], how))
    names, parameters = zip(*student.model.named_parameters())
    mixed = torch.autograd.grad(together, parameters)
    summed = torch.autograd.grad(sum(alone) / 9, parameters)
    for name, a, b in zip(names, mixed, summed):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10, msg=name)


def test_the_objective_is_its_formula_word_by_word():
    student, lessons, T = small(), lessons_of_text(), 3.0
    how = Distillation(label_weight=0.7, teacher_weight=0.4, temperature=T)
    total = 0.0
    for lesson in lessons:
        z = student.model(student.vocabulary.encode([lesson.words]))
        for word, target in enumerate(lesson.targets):
            q = z[word].softmax(0)
            if target != UNLABELLED:
                total = total - 0.7 * lesson.weight * q[target].log()
            p, q = (lesson.teacher[word] / T).softmax(0), (z[word] / T).softmax(0)
            total = total + 0.4 * T**2 * (p * (p / q).log()).sum()
    close(objective(student, lessons, how), total / 9)


def test_a_crf_without_transitions_is_taught_exactly_like_softmax():
    softmax, crf = small("softmax"), small("crf")
    with torch.no_grad():
        for parameter in crf.model.crf.parameters():
            parameter.zero_()
    how = Distillation(temperature=2.0, teacher_weight=0.5)
    losses = [objective(s, lessons_of_text(), how) for s in (softmax, crf)]
    close(losses[0], losses[1])
    shared = [list(s.model.parameters()) for s in (softmax, crf)]
    gradients = [torch.autograd.grad(x, p[: len(shared[0])]) for x, p in zip(losses, shared)]
    for a, b in zip(*gradients):
        close(a, b)


def test_with_transitions_the_crf_compares_its_marginals_and_reads_the_whole_sentence():
    student, lessons = small("crf"), lessons_of_text()[:1]
    only_beliefs = Distillation(label_weight=0.0, teacher_weight=1.0)
    z = student.model(student.vocabulary.encode([TEXT[0]]))
    log_q = student.model.crf.log_marginals(z.unsqueeze(0), torch.ones(1, 3, dtype=torch.bool))[0]
    p = lessons[0].teacher.softmax(1)
    close(objective(student, lessons, only_beliefs), (p * (p.log() - log_q)).sum() / 3)
    agreed = [replace(lessons[0], teacher=log_q.detach())]
    loss = objective(student, agreed, only_beliefs)
    close(loss.detach(), torch.zeros((), dtype=torch.float64))
    for gradient in torch.autograd.grad(loss, list(student.model.crf.parameters())):
        close(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("head", ["softmax", "crf"])
def test_the_weight_of_pseudo_labels_changes_unlabelled_words_only(head):
    student = small(head)
    gold = gold_lessons([TaggedExample("1", TEXT[0], ("B-PER", "O", "B-LOC"))], LABELS,
                        [draw(3, 3)])  # fmt: skip
    beliefs = [draw(5, 3, seed=4, scale=2.0)]

    def gradients(**how):
        how = Distillation(**how)
        seen = {}

        def keep(module, inputs, output):
            output.retain_grad()
            seen["logits"] = output

        hook = student.model.register_forward_hook(keep)
        objective(student, [*gold, *pseudo_lessons(TEXT[2:], beliefs, how)], how).backward()
        hook.remove()
        return seen["logits"].grad

    plain = gradients()
    for weight in (0.0, 3.0):
        changed = gradients(pseudo_weight=weight)
        assert torch.equal(changed[:3], plain[:3])
        assert not torch.allclose(changed[3:], plain[3:])


def test_gold_is_never_replaced_and_a_pseudo_label_is_the_teachers_best():
    wrong = [torch.tensor([[9.0, 0.0, 0.0]] * 3)]  # a teacher sure of "O" everywhere
    gold = gold_lessons([TaggedExample("1", TEXT[0], ("B-PER", "O", "B-LOC"))], LABELS, wrong)
    assert gold[0].targets == [2, 0, 1]
    assert gold[0].weight == 1.0
    logits = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0], [0.1, 0.0, 0.2]])
    pseudo = pseudo_lessons([TEXT[0]], [logits], Distillation(pseudo_weight=0.3))
    assert pseudo[0].targets == [1, 0, 2]
    assert pseudo[0].weight == 0.3


# the training


@pytest.mark.parametrize("head", ["softmax", "crf"])
def test_without_teacher_and_text_it_is_supervised_training_step_for_step(head):
    examples = news(40).train
    labels = news(40).labels
    vocabulary = build_vocabulary([e.words for e in examples], min_count=1)
    config = TaggerConfig(
        vocabulary.word_rows, vocabulary.character_rows, len(labels), 6, 4, 5, 4, head=head,
        word_dropout=0.2,
    )  # fmt: skip
    seeds = Seeds.all(3)
    student = Student(Tagger(config, torch.Generator().manual_seed(1)).eval(), vocabulary, labels)
    plain = copy.deepcopy(student.model)
    how = Distillation(
        steps=7, evaluate_every=7, batch_size=6, teacher_weight=0.0, learning_rate=0.01, clip=0.5
    )
    teach(student, gold_lessons(examples, labels), [], how, seeds)

    optimizer = torch.optim.Adam(plain.parameters(), lr=0.01)
    dropout = torch.Generator()
    set_dropout_generator(plain, dropout)
    batches = []
    for number in range(2):  # 20 sentences: 6, 6, 6, 2 and again
        order = np.random.default_rng((seeds.order, number)).permutation(len(examples)).tolist()
        batches += [order[at : at + 6] for at in range(0, len(examples), 6)]
    plain.train()
    for step, batch in enumerate(batches[:7]):
        dropout.manual_seed(stream(seeds.dropout, step))
        sentences = [examples[i] for i in batch]
        words = vocabulary.encode([s.words for s in sentences])
        targets = torch.tensor([labels.index(tag) for s in sentences for tag in s.tags])
        logits = plain(words)
        if head == "softmax":
            loss = F.cross_entropy(logits, targets)
        else:
            layout = words.layout
            mask = layout.pad(torch.ones_like(targets)) == 1
            nll = plain.crf.negative_log_likelihood(layout.pad(logits), layout.pad(targets), mask)
            loss = nll.sum() / len(targets)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
        optimizer.step()
    for (name, a), b in zip(student.model.named_parameters(), plain.parameters()):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6, msg=name)


def tiny_job():
    dataset = news(60)
    vocabulary = build_vocabulary([e.words for e in dataset.train], min_count=1)
    student = new_student(vocabulary, dataset.labels, torch.Generator().manual_seed(0))
    return student, gold_lessons(dataset.train, dataset.labels)


def test_the_weights_of_the_best_look_are_kept_the_earliest_of_equals():
    student, lessons = tiny_job()
    scores = iter([0.1, 0.5, 0.3, 0.5, 0.2])
    copies = []

    def validate(looked_at):
        copies.append(copy.deepcopy(looked_at.model.state_dict()))
        return 1.0, next(scores)

    how = Distillation(steps=10, evaluate_every=2, teacher_weight=0.0)
    taught = teach(student, lessons, [], how, Seeds.all(0), validate=validate)
    assert (taught.kept_step, taught.best) == (4, 0.5)
    assert [look["best"] for look in taught.records] == [True, True, False, False, False]
    assert [look["step"] for look in taught.records] == [2, 4, 6, 8, 10]
    for name, values in student.model.state_dict().items():
        assert torch.equal(values, copies[1][name])
    assert not torch.equal(copies[1]["dense.weight"], copies[4]["dense.weight"])
    assert not student.model.training


def test_without_a_development_split_the_last_weights_are_kept():
    student, lessons = tiny_job()
    how = Distillation(steps=3, evaluate_every=1, teacher_weight=0.0)
    taught = teach(student, lessons, [], how, Seeds.all(0))
    assert (taught.kept_step, taught.best) == (3, None)
    assert taught.stopped == "all 3 steps done"


def test_the_order_of_gold_is_the_same_whether_there_is_unlabelled_text_or_not():
    seen = []
    student, lessons = tiny_job()
    encode = type(student.vocabulary).encode

    class Spy(type(student.vocabulary)):
        def encode(self, sentences):
            seen.append([tuple(s) for s in sentences])
            return encode(self, sentences)

    vocabulary = student.vocabulary
    spy = Spy(vocabulary.words, vocabulary.characters)
    how = Distillation(steps=5, evaluate_every=5, teacher_weight=0.0)
    pseudo = [Lesson(("Lima", "Kyiv"), (1, 1))]
    for more in ([], pseudo):
        teach(replace(student, vocabulary=spy), lessons, more, how, Seeds.all(0))
    assert seen[:5] == [batch[:-1] for batch in seen[5:]]
    assert all(batch[-1] == ("Lima", "Kyiv") for batch in seen[5:])  # the short stream goes round


def test_bad_settings_and_missing_parts_are_refused():
    student, lessons = tiny_job()
    with pytest.raises(MiniftError, match="temperature must be a positive number, got 0"):
        Distillation(temperature=0)
    with pytest.raises(MiniftError, match='"kl" or "mse", got \'ce\''):
        Distillation(loss="ce")
    with pytest.raises(MiniftError, match="both 0: there is no loss"):
        Distillation(label_weight=0, teacher_weight=0)
    with pytest.raises(MiniftError, match="the teacher was not asked"):
        teach(student, lessons, [], Distillation(), Seeds.all(0))
    with pytest.raises(MiniftError, match="no labelled sentences"):
        teach(student, [], lessons, Distillation(), Seeds.all(0))
    with pytest.raises(MiniftError, match="sentence 7 has no tags"):
        gold_lessons([TaggedExample("7", ("a",))], LABELS)
    with pytest.raises(MiniftError, match=r'tag in sentence 7: "B-PRE".*did you mean "B-PER"'):
        gold_lessons([TaggedExample("7", ("a",), ("B-PRE",))], LABELS)
    with torch.no_grad():
        student.model.dense.bias.fill_(float("nan"))
    with pytest.raises(MiniftError, match="the loss became nan at step 1"):
        teach(student, lessons, [], Distillation(teacher_weight=0.0), Seeds.all(0))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return tiny_teacher(tmp_path_factory.mktemp("toy"))


@pytest.mark.parametrize("head", ["softmax", "crf"])
def test_a_taught_student_beats_labels_alone_with_the_same_steps(teacher, head):
    """The toy's teacher knows more from its 80 labels; a real one knows it from pretraining."""
    dataset = news(160)
    gold = dataset.train[:6]
    pool = [e.words for e in dataset.train[6:]]
    beliefs = teacher_logits(teacher, [*(e.words for e in gold), *pool])
    how = Distillation(steps=60, evaluate_every=60, learning_rate=5e-3)
    alone = replace(how, teacher_weight=0.0)
    scores = {"alone": [], "taught": []}
    for seed in range(3):
        for name, settings_, text in (("alone", alone, []), ("taught", how, pool)):
            vocabulary = build_vocabulary([e.words for e in gold], pool, min_count=1)
            source = torch.Generator().manual_seed(seed)
            student = new_student(vocabulary, teacher.labels, source, head=head)
            believed = beliefs[: len(gold)] if text else None
            teach(
                student,
                gold_lessons(gold, teacher.labels, believed),
                pseudo_lessons(text, beliefs[len(gold) :], settings_),
                settings_,
                Seeds.all(seed),
            )
            found = student.evaluate(dataset.test)
            scores[name].append(headline("entity_f1", found.scores))
    assert min(scores["taught"]) > max(scores["alone"]) + 0.08, scores
