"""A classifier of texts that scikit-learn's tools can drive: `fit(texts, labels)`, then `predict`.

Claim    It learns what `minift.train` learns from the same texts, and answers what `minift.predict`
         answers. `clone`, `cross_val_score`, `Pipeline`, `GridSearchCV` and pickling work.
Differs  scikit-learn is not needed: it asks an estimator for what stands here, and for its tags,
         the one place where it is imported.
Proof    tests/runs/test_classifier.py
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from minift.data.files.readers import read_dataset
from minift.errors import MiniftError, require_known
from minift.methods.recipes import recipe
from minift.runs.predict import predict
from minift.runs.train import train
from minift.runs.tuned import Head
from minift.training.loop import Recipe


@dataclass(eq=False)
class Classifier:
    """A scikit-learn estimator; what it is made with is judged when it learns.

    After `fit` it has `classes_`, in the order of the columns of `predict_proba`, `model_` (a
    `FineTuned`) and `result_` (as in result.json, with notes on the data).
    """

    method: str | Recipe = "full"
    encoder: str | Path = "minilm"
    head: Head | None = None  # see `build`
    epochs: int | None = None  # None is the method's own, also for the next
    learning_rate: float | None = None
    seed: int = 0  # of all random streams
    device: torch.device | str = "cpu"

    _estimator_type = "classifier"  # which scikit-learn before 1.6 reads

    def fit(self, texts: Iterable[str], labels: Sequence[Any]) -> Classifier:
        """Learn from texts with one label each; MiniftError as for `read_dataset` and `train`."""
        texts, labels = _listed(texts), list(labels)
        if len(texts) != len(labels) or any(map(np.ndim, labels)):
            got = f"got {len(texts)} texts and {len(labels)} labels"
            raise MiniftError(f"{got}; expected one label for each text")
        y = np.asarray(labels)  # where, among strings, nan is "nan"
        given = [one if isinstance(one, float) else own for one, own in zip(labels, y.tolist())]
        if amounts := [one for one in given if isinstance(one, float) and one % 1 > 0]:
            what = "give strings if each number is a class, or learn amounts with minift.train"
            raise MiniftError(f"labels such as {amounts[0]} may be amounts: {what}")
        rows = [{"text": text, "label": label} for text, label in zip(texts, given)]
        try:
            dataset = read_dataset(rows, task="classification")
        except MiniftError as error:
            raise MiniftError(str(error).replace("train.rows", "texts and labels")) from error
        asked: dict[str, Any] = {"epochs": self.epochs, "learning_rate": self.learning_rate}
        asked = {name: value for name, value in asked.items() if value is not None}
        settings = replace(recipe(self.method, self.encoder).settings, **asked)
        self.model_, self.result_ = train(
            dataset, self.encoder, self.method,
            seeds=self.seed, settings=settings, head=self.head, device=self.device,
        )  # fmt: skip
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, texts: Iterable[str]) -> np.ndarray:
        """Return the probability of each class, (texts, classes), in float32."""
        if not hasattr(self, "classes_"):
            raise MiniftError("this Classifier has learned nothing yet; call fit(texts, labels)")
        names = [*map(str, self.classes_.tolist())]
        answers = predict(self.model_, _listed(texts))
        scores = [[answer["scores"][name] for name in names] for answer in answers]
        return np.array(scores, dtype=np.float32).reshape(-1, len(names))

    def predict(self, texts: Iterable[str]) -> np.ndarray:
        """Return the likeliest class of each text."""
        best = self.predict_proba(texts).argmax(axis=1)
        return self.classes_[best]

    def score(self, texts: Iterable[str], labels: Sequence[Any]) -> float:
        """Return the accuracy, in [0, 1]."""
        return float(np.mean(self.predict(texts) == np.asarray(labels)))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return what it was made with."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def set_params(self, **params: Any) -> Classifier:
        """Change what it was made with; MiniftError for a name that it does not know."""
        for name, value in params.items():
            require_known("parameter", name, self.get_params())
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        inputs = InputTags(one_d_array=True, two_d_array=False, string=True)
        return Tags("classifier", TargetTags(True), None, ClassifierTags(), None, input_tags=inputs)


def _listed(texts: Iterable[str]) -> list[str]:
    """Return the texts of a list, an array or a column; refuse a table, and a single text."""
    if isinstance(texts, str | dict) or getattr(texts, "ndim", 1) != 1:
        got = type(texts).__name__
        raise MiniftError(f"texts: expected a list of strings, or one column, got {got}")
    return list(texts)
