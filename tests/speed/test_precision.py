"""bf16 matrix products: as exact as transformers', nothing else in bf16, refused where emulated.

claim                                                        oracle
logits err from the exact ones no more than theirs do        float64; transformers under autocast
the encoder's products read bf16, all other sums float32     every operation, by its operands
without it no operation reads bf16                           every operation
weights, gradients and Adam's moments stay float32           their dtypes
each step computes with the weights of the step before       a loop without autocast's memory
a frozen prefix that is kept gives the same bits             no cache
states kept in one precision are not the other's             fits
Fisher scores are those of float32, bit for bit              the model in float32
a run answers as it was scored, in the precision of its run  result.json; predict in float32
a run.json of any kind is read, or named                     spoilt ones
projects, scores, comparisons, simulations too              what is stored; what is entered
it is refused before anything is written                     an AVX2-only processor; the folder
an unfinished run does not go on in another precision        error words
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from minift.active.mc_dropout import mc_logits
from minift.bert.encoder import Bert
from minift.bert.heads import SequenceClassifier
from minift.bert.packing import to_device
from minift.cli.main import main
from minift.errors import MiniftError
from minift.label.project import last_model, load_project
from minift.methods.fisher import fisher
from minift.methods.recipes import recipe
from minift.runs.evaluate import predict_logits
from minift.runs.folder import load_run
from minift.runs.train import train
from minift.runs.tuned import build
from minift.speed import precision
from minift.speed.precision import (
    compute_in,
    full_precision,
    precision_of,
    processor_flags,
    require_bf16,
    require_precision,
)
from minift.speed.prefix import PrefixCache
from minift.training.batches import make_batch, shuffled
from minift.training.loop import (
    Recipe,
    Seeds,
    Settings,
    adamw,
    cross_entropy,
    everything,
    fine_tune,
    select,
)
from minift.training.schedules import Linear
from tests.bert.reference import copy_weights, hf_config, inputs, own_config, randomise
from tests.tiny import checkpoint, reviews
from tests.training.test_loop import make_items

AVX2_ONLY = frozenset("fpu sse sse2 avx avx2 fma f16c".split())  # noqa: SIM905
PRODUCTS = {"mm", "addmm", "bmm", "baddbmm", "_scaled_dot_product_flash_attention_for_cpu"}


@pytest.fixture(autouse=True)
def capable(monkeypatch):
    """Let any processor count as one with bf16: what is emulated is slow, not wrong."""
    monkeypatch.setattr(precision, "processor_flags", lambda: frozenset({"avx512_bf16"}))


def model(dropout: float = 0.0, seed: int = 0) -> SequenceClassifier:
    config = own_config(hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
    return randomise(SequenceClassifier(config), seed, std=0.2)


class Operations(TorchDispatchMode):
    """Notes the name and the dtypes of the tensors that each operation reads."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, set[torch.dtype]]] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        dtypes = {
            a.dtype for a in torch.utils._pytree.tree_leaves(args) if isinstance(a, torch.Tensor)
        }
        self.seen.append((name, dtypes))
        return function(*args, **(kwargs or {}))

    def reading(self, dtype: torch.dtype) -> set[str]:
        return {name for name, dtypes in self.seen if dtype in dtypes}


def test_logits_err_no_more_than_those_of_transformers_under_the_same_autocast(device):
    squares = {"ours": 0.0, "theirs": 0.0, "exact": 0.0}
    for seed in range(40):  # rounding is a matter of luck: the error is that of many models
        reference = transformers.BertForSequenceClassification(hf_config(3))
        reference = randomise(reference, seed, std=0.2).to(device).eval()
        own = copy_weights(reference, SequenceClassifier(own_config(3)).to(device)).eval()
        packed, padded = inputs(seed)
        packed, padded = (
            to_device(packed, device),
            {name: x.to(device) for name, x in padded.items()},
        )
        compute_in(own, "bf16")
        with torch.inference_mode():
            ours = own(packed)
            with torch.autocast(ours.device.type, torch.bfloat16):
                theirs = reference(**padded).logits
            exact = reference.double()(**padded).logits
        assert ours.dtype == torch.float32
        squares["ours"] += (ours - exact).square().mean().item()
        squares["theirs"] += (theirs.float() - exact).square().mean().item()
        squares["exact"] += exact.square().mean().item()
    error, their_error = (squares[side] ** 0.5 for side in ("ours", "theirs"))
    assert error <= their_error
    # bf16 has 8 bits: an error that is much smaller means that it was not used.
    assert 1e-4 < error / squares["exact"] ** 0.5 < 2**-7


@pytest.mark.parametrize("training", [False, True])
def test_products_of_the_encoder_read_bf16_and_all_else_float32(training):
    own = model(dropout=0.1).train(training)
    compute_in(own, "bf16")
    batch = make_batch(make_items(8))
    with Operations() as forward:
        loss = cross_entropy(own, batch).sum()
    halves = forward.reading(torch.bfloat16)
    # What lies between two products of a block stays in bf16; the stream that they add to
    # does not, nor its normalisation, the head or the loss.
    assert halves >= {"addmm", "gelu"}
    assert not halves & {"native_layer_norm", "_log_softmax", "nll_loss_forward", "embedding"}
    encoder_products = [dtypes for name, dtypes in forward.seen if name in PRODUCTS]
    head = encoder_products[-2:]  # the pooler and the classifier
    assert head == [{torch.float32}] * 2
    assert encoder_products[:-2] == [{torch.bfloat16}] * (len(encoder_products) - 2)
    assert len(encoder_products) == 2 + 3 * (6 + (2 if training else 1))  # three layers
    loss.backward()
    assert {p.grad.dtype for p in own.parameters() if p.grad is not None} == {torch.float32}


def test_without_it_no_operation_reads_bf16():
    own = model(dropout=0.1).train()
    with Operations() as forward:
        cross_entropy(own, make_batch(make_items(8))).sum().backward()
    assert forward.seen and not forward.reading(torch.bfloat16)


FOUR_STEPS = Settings(epochs=4, batch_size=8, learning_rate=1e-2, clip=0.0, precision="bf16")
SEEDS = Seeds(0, 0, order=7, dropout=0, masks=0)


def train_without_memory(items) -> dict[str, torch.Tensor]:
    """Train as `fine_tune` does, each step's gradient from a model that never saw another step."""
    own, order, schedule = model(), torch.Generator().manual_seed(SEEDS.order), Linear()
    parameters = select(own, everything)
    optimizer = adamw(parameters, FOUR_STEPS)
    schedule.begin(1, 4)
    for step in range(4):
        (group,) = shuffled(items, 8, order)
        fresh = model().train()
        fresh.load_state_dict(own.state_dict())
        compute_in(fresh, "bf16")
        (cross_entropy(fresh, make_batch(group)).sum() / len(group)).backward()
        for name, parameter in fresh.named_parameters():
            parameters[name].grad = parameter.grad
        for group in optimizer.param_groups:
            group["lr"] = FOUR_STEPS.learning_rate * schedule.factor(step)
        optimizer.step()
    return own.state_dict()


def test_each_step_computes_with_the_weights_that_the_step_before_left():
    items, own, stale = make_items(8), model(), model()
    compute_in(own, "bf16")
    compute_in(stale, "bf16")
    fine_tune(own, items, Recipe(settings=FOUR_STEPS), SEEDS)
    expected = train_without_memory(items)
    for name, parameter in own.named_parameters():
        assert torch.equal(parameter, expected[name]), name
        assert parameter.dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):  # the trap: it remembers the first step's copies
        fine_tune(stale, items, Recipe(settings=FOUR_STEPS), SEEDS)
    assert not torch.equal(
        stale.bert.layers[0].output.weight, expected["bert.layers.0.output.weight"]
    )


def test_adams_moments_stay_float32():
    own = model()
    compute_in(own, "bf16")
    optimizer = adamw(select(own, everything), Settings())
    cross_entropy(own, make_batch(make_items(8))).sum().backward()
    optimizer.step()
    assert {state["exp_avg"].dtype for state in optimizer.state.values()} == {torch.float32}


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_frozen_prefix_that_is_kept_gives_the_same_bits(layers):
    own, items = model().eval(), make_items(10)
    compute_in(own, "bf16")
    cache = PrefixCache(own, layers, items)
    kept = predict_logits(own, items, make_batch=cache.make_batch)
    computed = predict_logits(own, items)
    assert all(torch.equal(a, b) for a, b in zip(kept, computed))
    assert cache.fits(own)
    compute_in(own, "float32")
    assert not cache.fits(own)


def test_mc_dropout_is_computed_in_the_precision_of_the_model():
    own, items = model(dropout=0.1).eval(), make_items(6)
    exact = mc_logits(own, items, 3)
    compute_in(own, "bf16")
    halves = mc_logits(own, items, 3)
    again = mc_logits(own, items, 3)
    for a, b, c in zip(exact, halves, again):
        assert torch.equal(b, c) and not torch.equal(a, b)
        torch.testing.assert_close(a, b, rtol=0, atol=0.1 * float(a.abs().max()))  # same masks


def test_fisher_scores_are_those_of_float32_and_the_precision_is_put_back():
    own, items = model(), make_items(6)
    exact = fisher(own, items)
    compute_in(own, "bf16")
    assert all(torch.equal(s, exact[name]) for name, s in fisher(own, items).items())
    assert precision_of(own) == "bf16"


def test_a_block_in_full_precision_ends_in_the_one_before_also_after_an_error():
    own = model()
    compute_in(own, "bf16")
    with pytest.raises(KeyError), full_precision(own):
        assert precision_of(own) == "float32"
        raise KeyError
    assert precision_of(own) == "bf16"
    compute_in(own, "float32")
    with full_precision(own):
        pass
    assert precision_of(own) == "float32" and type(own.bert) is Bert


def run(folder: Path, encoder: Path, **changes) -> dict:
    settings = Settings(epochs=2, batch_size=8, learning_rate=1e-3, **changes)
    method = replace(recipe("full"), settings=settings)
    return train(reviews(), encoder, method, seeds=Seeds.all(0), out=folder)[1]


def test_a_run_answers_as_it_was_scored_in_the_precision_of_its_training(tmp_path):
    encoder, data = checkpoint(tmp_path / "encoder"), reviews()
    result = run(tmp_path / "run", encoder, precision="bf16")
    loaded = load_run(tmp_path / "run")
    assert precision_of(loaded.model) == "bf16"
    assert loaded.evaluate(data.test).scores == result["test_scores"]
    plain = load_run(tmp_path / "run", precision="float32")
    assert precision_of(plain.model) == "float32"
    assert loaded.evaluate(data.test).loss != plain.evaluate(data.test).loss
    (tmp_path / "run" / "run.json").unlink()  # any checkpoint of transformers
    assert precision_of(load_run(tmp_path / "run").model) == "float32"
    other = run(tmp_path / "other", encoder)
    assert precision_of(load_run(tmp_path / "other").model) == "float32"
    assert other["test_scores"].keys() == result["test_scores"].keys()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"settings": {"precision": "fp8"}}', 'unknown precision "fp8"; known: float32, bf16'),
        ('{"settings": {"precision": ["bf16"]}}', r"unknown precision .*; known: float32, bf16"),
        ('{"settings": ', "run.json: cannot be read as JSON"),
        ("[" * 100_000, "run.json: cannot be read as JSON"),
        ("[]", "run.json: expected a JSON object, got list"),
        ('{"settings": 3}', None),
        ('{"by": "somebody else"}', None),
    ],
)
def test_a_run_json_of_any_kind_is_read_or_named(content, words, tmp_path):
    encoder = checkpoint(tmp_path / "encoder")
    run(tmp_path / "run", encoder)
    (tmp_path / "run" / "run.json").write_text(content, encoding="utf-8")
    if words is None:
        assert precision_of(load_run(tmp_path / "run").model) == "float32"
        return
    with pytest.raises(MiniftError, match=words):
        load_run(tmp_path / "run")
    if content.startswith('{"settings": {'):  # it is read, and another precision may be asked for
        assert precision_of(load_run(tmp_path / "run", precision="float32").model) == "float32"


def test_bf16_is_refused_where_the_processor_lacks_it(monkeypatch, tmp_path, capsys):
    assert require_bf16(AVX2_ONLY | {"avx512_bf16"}) == "avx512_bf16"
    with pytest.raises(MiniftError, match=r"it has no bf16 instructions .* stay with float32"):
        require_bf16(AVX2_ONLY)
    with pytest.raises(MiniftError, match="does not say whether it has"):
        require_bf16(None)
    with pytest.raises(MiniftError, match='unknown precision "fp16"; known: float32, bf16'):
        require_precision("fp16", torch.device("cpu"))
    with pytest.raises(MiniftError, match="bf16 on Apple's GPU is refused"):
        require_precision("bf16", torch.device("mps"))

    monkeypatch.setattr(precision, "processor_flags", lambda: AVX2_ONLY)
    own = model()
    require_precision("float32", torch.device("cpu"))
    with pytest.raises(MiniftError, match="it has no bf16 instructions"):
        compute_in(own, "bf16")
    assert precision_of(own) == "float32"
    encoder = checkpoint(tmp_path / "encoder")
    with pytest.raises(MiniftError, match="it has no bf16 instructions"):
        build(reviews(), encoder, Seeds.all(0), precision="bf16")
    pool = tmp_path / "pool.txt"
    pool.write_text("good film\nbad film\n", encoding="utf-8")
    data = ["--data", "reviews", "--encoder", str(encoder), "--labels", "20"]
    project = ["--pool", str(pool), "--labels", "neg,pos", "--encoder", str(encoder)]
    for command in (
        ["train", *data],
        ["compare", *data, "--methods", "head"],
        ["active", "start", *project],
        ["active", "simulate", *data[:4], "--rounds", "1"],
    ):
        out = tmp_path / "out"
        assert main([*command, "--precision", "bf16", "--out", str(out)]) == 1
        assert "it has no bf16 instructions" in capsys.readouterr().err
        assert not (out / "run.json").exists() and not (out / "project.json").exists()


def test_a_model_without_an_encoder_is_refused():
    with pytest.raises(MiniftError, match="Linear holds no Bert"):
        compute_in(nn.Linear(2, 2), "bf16")
    compute_in(nn.Linear(2, 2), "float32")


def test_an_unfinished_run_does_not_go_on_in_another_precision(tmp_path):
    encoder = checkpoint(tmp_path / "encoder")
    run(tmp_path / "run", encoder)
    (tmp_path / "run" / "result.json").unlink()
    (tmp_path / "run" / "checkpoints").mkdir()  # as if it had been killed
    with pytest.raises(MiniftError, match=r"another precision"):
        run(tmp_path / "run", encoder, precision="bf16")


def test_the_command_line_hands_it_on(tmp_path, capsys):
    encoder = checkpoint(tmp_path / "encoder")
    data = ["--data", "reviews", "--encoder", str(encoder)]
    out = str(tmp_path / "run")
    chosen = ["--labels", "20", "--epochs", "1", "--precision", "bf16", "--out", out]
    assert main(["train", *data, *chosen]) == 0
    spec = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert spec["settings"]["precision"] == "bf16"
    capsys.readouterr()
    losses = []
    for choice in ([], ["--precision", "bf16"], ["--precision", "float32"]):
        assert main(["evaluate", out, "--data", "reviews", *choice]) == 0
        losses.append(json.loads(capsys.readouterr().out)["loss"])
    assert losses[0] == losses[1] != losses[2]
    texts = tmp_path / "texts.txt"
    texts.write_text("good film\nbad film\n", encoding="utf-8")
    answers = []
    for choice in ([], ["--precision", "float32"]):
        assert main(["predict", out, str(texts), *choice]) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] != answers[1]


def test_a_project_keeps_its_precision_and_scores_have_it(tmp_path):
    encoder, texts, out = checkpoint(tmp_path / "encoder"), tmp_path / "texts.txt", tmp_path / "p"
    texts.write_text("\n".join(e.text for e in reviews().train[:12]) + "\n", encoding="utf-8")
    start = ["--pool", str(texts), "--labels", "neg,pos", "--encoder", str(encoder)]
    chosen = ["--steps", "2", "--precision", "bf16", "--out", str(out)]
    assert main(["active", "start", *start, *chosen]) == 0
    project = load_project(out)
    assert project.settings.precision == "bf16"
    assert main(["active", "next", str(out), "-n", "4"]) == 0
    batch = next((out / "batches").glob("*.csv"))
    header, *rows = batch.read_text(encoding="utf-8").splitlines()
    place = header.split(",").index("label")
    filled = [row.split(",") for row in rows]
    for number, row in enumerate(filled):
        row[place] = ("neg", "pos")[number % 2]
    lines = [header, *(",".join(row) for row in filled)]
    batch.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert main(["active", "import", str(out), str(batch)]) == 0
    assert main(["active", "next", str(out), "-n", "2"]) == 0
    assert precision_of(last_model(project).model) == "bf16"
    assert precision_of(last_model(project, precision="float32").model) == "float32"
    scores = tmp_path / "scores.jsonl"
    score = ["active", "score", str(out), str(texts), "--out", str(scores), "--passes", "2"]
    found = []
    for more in ([], ["--precision", "bf16"], ["--precision", "float32"]):
        assert main([*score, *more]) == 0
        found.append(scores.read_bytes())
    assert found[0] == found[1] != found[2]


def test_a_comparison_and_a_simulation_are_in_the_precision_asked_for(tmp_path, monkeypatch):
    encoder, seen, forward = checkpoint(tmp_path / "encoder"), [], Bert.forward

    def watched(self, *args):
        halved = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu")
        seen.append(halved or torch.float32)
        return forward(self, *args)

    monkeypatch.setattr(Bert, "forward", watched)
    data = ["--data", "reviews", "--encoder", str(encoder), "--precision", "bf16"]
    out = str(tmp_path / "compared")
    few = ["--labels", "20", "--seeds", "1", "--epochs", "1", "--methods", "full"]
    assert main(["compare", *data, *few, "--out", out]) == 0
    assert set(seen) == {torch.bfloat16}
    assert "precision" in (tmp_path / "compared" / "report.md").read_text(encoding="utf-8")
    seen.clear()
    few = ["--rounds", "1", "--initial", "6", "--query", "2", "--steps", "2", "--passes", "2"]
    few += ["--pool", "12", "--test", "8", "--seeds", "1"]
    assert main(["active", "simulate", *data, *few, "--out", str(tmp_path / "simulated")]) == 0
    assert set(seen) == {torch.bfloat16}


def test_flags_are_the_processors(monkeypatch):
    text = "model name\t: X\nflags\t\t: fpu avx2\n\nflags\t\t: fpu avx2\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)
    assert processor_flags() == {"fpu", "avx2"}
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "Features\t: fp bf16\n")
    assert require_bf16(processor_flags()) == "bf16"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "nothing known")
    assert processor_flags() is None
