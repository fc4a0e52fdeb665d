"""minift: fine-tuning BERT when labels are few, short enough to read.

The names below are the public interface; each says where it is written, and `as` that it is public.
"""

import minift.interrupts  # noqa: F401  isort: split  (first: what follows takes seconds)
from minift.bert.config import BertConfig as BertConfig
from minift.bert.encoder import Bert as Bert
from minift.bert.heads import SequenceClassifier as SequenceClassifier
from minift.bert.heads import TokenClassifier as TokenClassifier
from minift.bert.masked_lm import MaskedLM as MaskedLM
from minift.bert.packing import Packed as Packed
from minift.bert.packing import pack as pack
from minift.checkpoints.tokenizer import Tokenizer as Tokenizer
from minift.checkpoints.weights import load_encoder as load_encoder
from minift.checkpoints.weights import load_model as load_model
from minift.checkpoints.weights import load_tokenizer as load_tokenizer
from minift.checkpoints.weights import save_pretrained as save_pretrained
from minift.data.examples import Dataset as Dataset
from minift.data.examples import TaggedExample as TaggedExample
from minift.data.examples import TextExample as TextExample
from minift.data.files.readers import read_dataset as read_dataset
from minift.data.files.readers import read_examples as read_examples
from minift.data.named import load_dataset as load_dataset
from minift.errors import MiniftError as MiniftError
from minift.methods.recipes import recipe as recipe
from minift.runs.check import check as check
from minift.runs.classifier import Classifier as Classifier
from minift.runs.evaluate import predict_logits as predict_logits
from minift.runs.folder import load_run as load_run
from minift.runs.folds import cross_validate as cross_validate
from minift.runs.predict import predict as predict
from minift.runs.train import train as train
from minift.runs.tuned import FineTuned as FineTuned
from minift.training.batches import make_batch as make_batch
from minift.training.items import make_items as make_items
from minift.training.loop import Seeds as Seeds
from minift.training.loop import Settings as Settings
from minift.training.loop import fine_tune as fine_tune
from minift.version import __version__ as __version__
