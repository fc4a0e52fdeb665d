"""Run folders are read by other people's tools, without a line of ours.

claim                                                       oracle
a pipeline of transformers answers as predict does          `pipeline`, classes and entities
encode of sentence-transformers gives the logits            `SentenceTransformer.encode`
PyTorch's exporter makes ONNX that answers the same         onnxruntime, also for other lengths
"""

import pytest
import torch

import minift
from tests.conftest import NO_ONNX
from tests.tiny import checkpoint, news, reviews

TEXTS = ["good film", "I saw a very bad plot and it was not the end"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Run folders: linear, mean, tagger."""
    folder = tmp_path_factory.mktemp("runs")
    encoder = checkpoint(folder / "encoder")
    for name, data, head in (
        ("linear", reviews(80), "linear"), ("mean", reviews(80), "mean"), ("tagger", news(80), None)
    ):  # fmt: skip
        settings = minift.Settings(epochs=4, learning_rate=1e-3)
        minift.train(
            data, encoder, "full", seeds=0, head=head, settings=settings, out=folder / name
        )
    return folder


def scores(folder, texts=TEXTS):
    answers = minift.predict(minift.load_run(folder), texts)
    return torch.tensor([[*answer["scores"].values()] for answer in answers])


def test_a_pipeline_of_transformers_answers_as_predict_does(folder):
    from transformers import pipeline

    classify = pipeline("text-classification", str(folder / "linear"), top_k=None)
    for found, answer in zip(
        classify(TEXTS), minift.predict(minift.load_run(folder / "linear"), TEXTS)
    ):
        told = {row["label"]: row["score"] for row in found}
        assert told == pytest.approx(answer["scores"], abs=1e-6)
    tag = pipeline("token-classification", str(folder / "tagger"), aggregation_strategy="first")
    text = "Ada saw Oslo and Ben"
    (answer,) = minift.predict(minift.load_run(folder / "tagger"), [text])
    found = [(row["start"], row["end"], row["entity_group"]) for row in tag(text)]
    assert (
        found == [(e["start"], e["end"], e["type"]) for e in answer["entities"]] and len(found) > 1
    )


def test_encode_of_sentence_transformers_gives_the_logits(folder):
    from sentence_transformers import SentenceTransformer

    logits = SentenceTransformer(str(folder / "mean"), device="cpu").encode(TEXTS)
    assert torch.allclose(torch.tensor(logits).softmax(-1), scores(folder / "mean"), atol=1e-6)


def test_onnx_made_by_pytorch_answers_the_same(folder, tmp_path):
    try:
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError:
        pytest.skip(NO_ONNX)
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    run, file = str(folder / "linear"), str(tmp_path / "model.onnx")
    tokenizer, model = (
        a.from_pretrained(run) for a in (AutoTokenizer, AutoModelForSequenceClassification)
    )
    inputs = dict(tokenizer(TEXTS, padding=True, return_tensors="pt"))
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    torch.onnx.export(
        model.eval(), kwargs=inputs, f=file, dynamo=True, input_names=[*inputs],
        output_names=["logits"], dynamic_shapes=dict.fromkeys(inputs, free),
    )  # fmt: skip
    session = onnxruntime.InferenceSession(file)
    for texts in (TEXTS, ["bad", "a", "the book was very good by the end"]):
        (logits,) = session.run(None, dict(tokenizer(texts, padding=True, return_tensors="np")))
        assert torch.allclose(torch.tensor(logits).softmax(-1), scores(run, texts), atol=1e-5)
