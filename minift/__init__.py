"""minift: fine-tuning BERT when labels are few, short enough to read.

The names below are the public interface; each says where it is written.
"""

import minift.interrupts  # noqa: F401  isort: split  (first: what follows takes seconds)
from minift.bert.config import BertConfig
from minift.bert.encoder import Bert
from minift.bert.heads import SequenceClassifier, TokenClassifier
from minift.bert.masked_lm import MaskedLM
from minift.bert.packing import Packed, pack
from minift.checkpoints.tokenizer import Tokenizer
from minift.checkpoints.weights import load_encoder, load_model, load_tokenizer, save_pretrained
from minift.data.examples import Dataset, TaggedExample, TextExample
from minift.data.files.readers import read_dataset, read_examples
from minift.data.named import load_dataset
from minift.errors import MiniftError
from minift.methods.recipes import recipe
from minift.runs.evaluate import evaluate, predict_logits
from minift.runs.folder import load_run
from minift.runs.predict import predict
from minift.runs.train import train
from minift.runs.tuned import FineTuned
from minift.training.batches import make_batch
from minift.training.items import make_items
from minift.training.loop import Seeds, Settings, fine_tune
from minift.version import __version__

__all__ = [
    "Bert",
    "BertConfig",
    "Dataset",
    "FineTuned",
    "MaskedLM",
    "MiniftError",
    "Packed",
    "Seeds",
    "SequenceClassifier",
    "Settings",
    "TaggedExample",
    "TextExample",
    "TokenClassifier",
    "Tokenizer",
    "__version__",
    "evaluate",
    "fine_tune",
    "load_dataset",
    "load_encoder",
    "load_model",
    "load_run",
    "load_tokenizer",
    "make_batch",
    "make_items",
    "pack",
    "predict",
    "predict_logits",
    "read_dataset",
    "read_examples",
    "recipe",
    "save_pretrained",
    "train",
]
