"""Pretraining: what turns batches of masked text into an encoder, for hours and through kills;
and `pretrain_further`, which takes an encoder and your own text, before labels are used.

Claim    A run that was killed resumes from its last checkpoint and ends with the same bits as one
         that never stopped, since every step is a function of the seed and of its number.
Paper    Devlin et al. (2019), https://arxiv.org/abs/1810.04805, appendix A.2. Further pretraining:
         Gururangan et al. (2020), "Don't Stop Pretraining", https://arxiv.org/abs/2004.10964.
Differs  - The rate stays constant between warm-up and decay, so that the end of a run may be
           moved while it lasts.
         - The loop counts steps, not epochs; minift/runs/steps.py says why.
         - Further pretraining: rate 1e-4 (theirs for small text), up in a tenth of the steps, then
           down to 0; 32 sequences per step (256 there), no pairs; 2,000 steps or more if nobody
           says how many passes.
Proof    tests/pretraining/test_pretrain.py, tests/pretraining/test_further.py
Tutorial tutorials/13_neighbours
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minift.bert.encoder import Bert
from minift.bert.masked_lm import MaskedLM
from minift.bert.packing import to_device
from minift.checkpoints import weights
from minift.checkpoints.hub import pooling_of, resolve
from minift.checkpoints.tokenizer import Tokenizer
from minift.errors import require, require_known
from minift.files import atomic_write, digest
from minift.pretraining.condenser import Condenser
from minift.pretraining.corpus import Corpus, MaskedText
from minift.runs.folder import open_run
from minift.runs.resume import Checkpoints
from minift.runs.steps import Record, Steps, StepTraining
from minift.training.batches import Batch
from minift.training.loop import Seeds, adamw
from minift.training.loop import Settings as LoopSettings
from minift.version import __version__

STEPS = 2000  # of further pretraining, at least, where nobody says how many passes


def masked_lm_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Return the mean of -log p(piece) over the hidden pieces; nothing else is computed."""
    return F.cross_entropy(model(batch.packed, batch.wanted).float(), batch.targets)


@dataclass(frozen=True)
class Settings:
    """How long and how hard to pretrain."""

    steps: int  # length of the run. It may be changed between a stop and the next start.
    learning_rate: float = 2e-3  # between warm-up and decay
    warmup: int = 300  # steps of the linear rise
    decay: float = 0.4  # share of all steps that the linear fall to 0 takes, at the end
    weight_decay: float = 0.01  # as in fine-tuning, like the next two
    clip: float = 1.0
    betas: tuple[float, float] = (0.9, 0.98)
    seed: int = 0  # of dropout
    bf16: bool = False  # compute matrix products in bfloat16 (weights stay float32)
    evaluate_every: int = 250  # steps from one line of the log to the next
    save_seconds: float = 180.0  # from one checkpoint to the next

    def __post_init__(self) -> None:
        self.plan()  # judges steps, evaluate_every and clip
        self.optimizer_settings()  # and the rate, the weight decay and the betas
        good = type(self.warmup) is int and self.warmup >= 0
        require(good, "warmup", self.warmup, "a whole number from 0 up")
        require(0 <= self.decay <= 1, "decay", self.decay, "a share from 0 to 1")

    def factor(self, step: int) -> float:
        """Return what the learning rate is multiplied by at a step: up, constant, down to 0."""
        rising = (step + 1) / max(1, self.warmup)
        falling = (self.steps - step) / max(1.0, self.decay * self.steps)
        return max(0.0, min(1.0, rising, falling))

    def plan(self) -> Steps:
        """Return what the loop is told."""
        rate = lambda step: self.learning_rate * self.factor(step)  # noqa: E731
        return Steps(self.steps, rate, self.evaluate_every, self.clip)

    def optimizer_settings(self) -> LoopSettings:
        """Return what AdamW is made from."""
        return LoopSettings(
            learning_rate=self.learning_rate, weight_decay=self.weight_decay, betas=self.betas
        )


def pretrain(
    model: nn.Module,
    losses: Callable[[int], Mapping[str, Tensor]],
    settings: Settings,
    folder: str | Path,
    evaluate: Callable[[], Mapping[str, float]] | None = None,
    progress: bool = False,
) -> list[Record]:
    """Train `model`, from the last checkpoint in `folder` if there is one; return the log.

    Args:
        model: everything that learns, on its device.
        losses: returns the named parts of a step's loss, whose sum is minimised. It must be
            a function of the step alone (and the weights).
        folder: gets log.jsonl, one line per look, and the checkpoints, which stay when the run
            has ended, so that it can be made longer.
        evaluate: returns held-out figures for the log.
        progress: show a bar on standard error.

    A MiniftError says if the loss is not finite, or the checkpoint is of another model.
    """
    folder = Path(folder)
    device = next(model.parameters()).device

    def parts(step: int) -> Mapping[str, Tensor]:
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.bf16):
            return losses(step)

    def look() -> Mapping[str, float]:
        with torch.inference_mode():
            return evaluate() if evaluate else {}

    optimizer = adamw(dict(model.named_parameters()), settings.optimizer_settings())
    checkpoints = Checkpoints(folder / "checkpoints", settings.save_seconds)
    training = StepTraining(model, optimizer, parts, settings.plan(), settings.seed, checkpoints)
    for _ in training.looks(look, progress):
        lines = (json.dumps(record) + "\n" for record in training.records)
        atomic_write(folder / "log.jsonl", "".join(lines))
    return training.records


def load_whole(encoder: str | Path, seed: int = 0) -> tuple[MaskedLM, Tokenizer, bool]:
    """Load a masked LM, with the encoder's pooler, and whether its head was there, or is drawn."""
    generator = torch.Generator().manual_seed(seed)
    model, report = weights.load_model(MaskedLM, encoder, generator=generator)
    model.bert.pooler = weights.load_model(Bert, encoder)[0].pooler
    return model, weights.load_tokenizer(encoder), not report.initialised


def save_like(
    encoder: str | Path, model: Bert | MaskedLM, tokenizer: Tokenizer, out: Path, mean: bool = True
) -> None:
    """Write what an encoder has become; it keeps its rates, and (if) its `mean` over the tokens."""
    weights.save_pretrained(model, tokenizer, out, mean=mean and pooling_of(encoder) == "mean")
    if (rates := resolve(encoder) / "rates.json").is_file():
        shutil.copyfile(rates, out / rates.name)


def pretrain_further(
    encoder: str | Path,
    texts: Sequence[str],
    out: str | Path,
    objective: str = "mlm",
    *,
    epochs: int | None = None,
    learning_rate: float = 1e-4,
    batch_size: int = 32,
    seed: int = 0,
    device: torch.device | str = "cpu",
    save_every: float = 60.0,
    progress: bool = False,
) -> dict[str, Any]:
    """Train an encoder on texts; write it, and return what result.json says.

    Args:
        objective: "mlm" (hidden words), or "condenser" (from [CLS], too: see condenser.py).
        epochs: passes over the texts; None: as many as make `STEPS` steps.
        batch_size: sequences per step, of at most 128 pieces each, and of 256 in every eighth.
        save_every: seconds between two checkpoints in `out`, from which the same call resumes.

    A MiniftError says what does not fit, if the text is too short, or `out` holds something else.
    """
    require_known("objective", objective, ("mlm", "condenser"))
    for name, value in (("epochs", 1 if epochs is None else epochs), ("batch_size", batch_size)):
        require(type(value) is int and value >= 1, name, value, "a whole number from 1 up")
    out, seeds = Path(out), Seeds.all(seed)
    model, tokenizer, has_head = load_whole(encoder, seeds.head)
    corpus, length = Corpus.of(texts, tokenizer), min(128, tokenizer.max_length // 2)
    source = MaskedText(corpus, tokenizer, batch_size, length, seed=seeds.order, pairs=0.0)
    condenser = Condenser(model, seed=seeds.masks) if objective == "condenser" else None
    learner = (condenser or model).to(device)

    def losses(step: int) -> dict[str, Tensor]:
        batch = to_device(source.batch(step), device)
        return condenser.losses(batch) if condenser else {"masked_lm": masked_lm_loss(model, batch)}

    per_pass = -(-len(source.runs) // batch_size)
    steps = per_pass * (epochs or -(-STEPS // per_pass))
    settings = Settings(
        steps, learning_rate, warmup=steps // 10, decay=0.9, seed=seeds.dropout,
        evaluate_every=-(-steps // 20), save_seconds=save_every,
    )  # fmt: skip
    made = {
        "minift_version": __version__, "encoder": str(encoder), "objective": objective,
        "text": digest(json.dumps([*texts])), "weights": weights.weights_digest(model),
        "batch_size": batch_size, "seeds": asdict(seeds), "settings": asdict(settings),
    }  # fmt: skip
    with open_run(out, "pretrain", made, save_every, progress) as checkpoints:
        log = pretrain(learner, losses, settings, out, progress=progress)
        save_like(encoder, model, tokenizer, out, mean=condenser is None)  # which learns at [CLS]
        result: dict[str, Any] = {"texts": len(texts), "passes": steps // per_pass}
        result |= {"new_head": not has_head, "first": log[0], "last": log[-1]}
        atomic_write(out / "result.json", json.dumps(result, indent=2) + "\n")
        if checkpoints:
            checkpoints.delete()
    return result
