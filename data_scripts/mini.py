"""`mini`, the encoder in the package: the lowest layers of MiniLM, with a masked-LM head.

  python data_scripts/mini.py all --work RUN --text wiki.txt.xz books.txt.xz --out my-mini
  python data_scripts/mini.py train --work RUN          # resumes where it was stopped

Stages; each skips what is done, so a command may be stopped and given again at any time:

  prepare  MiniLM's lowest --layers layers with its whole vocabulary (RUN/cut: the baseline that
           further training must beat), and word pieces of the text, by document
  train    masked LM on hidden words; beside it, on whole texts, the states of all layers are kept
           near those of the untouched cut, for these are what fine-tuning starts from. With
           --head-only the cut stays as it is, and only the head of the masked LM learns
  export   a float16 checkpoint in Hugging Face layout, which is a folder of sentence-transformers,
           too: it says that the vector of a text is the mean over its tokens

Proof    tests/data_scripts/test_mini.py
"""

from __future__ import annotations

import argparse
import json
import math
import random
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from pretrain import HELD_OUT_EVERY, documents
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from tqdm import tqdm

from minift.bert.encoder import Bert
from minift.bert.masked_lm import MaskedLM, initialise
from minift.bert.packing import Packed, pack, to_device
from minift.checkpoints.tokenizer import Tokenizer
from minift.checkpoints.weights import load_model, load_tokenizer, save_pretrained
from minift.errors import MiniftError
from minift.files import atomic_directory_write
from minift.pretraining.corpus import Corpus, MaskedText
from minift.pretraining.masking import piece_kinds
from minift.pretraining.pretrain import Settings, masked_lm_loss, pretrain
from minift.runs.resume import Checkpoints
from minift.runs.steps import rows_of

LENGTHS = (16, 32, 64)  # of the texts whose states are kept, in turn
Arguments = argparse.Namespace


def prepare(args: Arguments) -> None:
    """Write RUN/cut and RUN/text."""
    if not (args.work / "cut" / "config.json").is_file():
        cut(args.teacher, args.layers, args.work / "cut")
    folder = args.work / "text"
    if (folder / "ids.npy").is_file():
        return
    if not args.text:
        raise MiniftError("prepare needs --text FILE ...")
    tokenizer, texts = load_tokenizer(args.teacher), []
    for path in args.text:
        everything = list(tqdm(documents(path), desc=path.name, unit=" documents", leave=False))
        random.Random(args.seed).shuffle(everything)
        left = args.max_characters / len(args.text)
        for document in everything:
            if left > 0:
                left -= sum(map(len, document))
                texts.append("\n".join(document))
    random.Random(args.seed).shuffle(texts)
    parts = {
        "": [text for number, text in enumerate(texts) if number % HELD_OUT_EVERY],
        "held_": texts[::HELD_OUT_EVERY],
    }

    def write(new: Path) -> None:
        for name, some in parts.items():
            corpus = Corpus.of(some, tokenizer)
            np.save(new / f"{name}ids.npy", corpus.ids)
            np.save(new / f"{name}ends.npy", corpus.ends)

    atomic_directory_write(folder, write)


def cut(name: str | Path, layers: int, out: Path) -> None:
    """Write the lowest layers of an encoder as a checkpoint of their own, without a pooler."""
    whole, _ = load_model(Bert, name)
    if not 1 <= layers <= len(whole.layers):
        raise MiniftError(f"--layers {layers}: {name} has {len(whole.layers)} layers")
    lowest = Bert(replace(whole.config, num_hidden_layers=layers), pooler=False)
    lowest.load_state_dict(
        {n: t for n, t in whole.state_dict().items() if n in lowest.state_dict()}
    )
    save_pretrained(lowest, load_tokenizer(name), out)


class Texts:
    """Windows of the text without any word hidden; those of a step follow from its number."""

    def __init__(self, corpus: Corpus, tokenizer: Tokenizer, tokens: int, seed: int):
        continues = piece_kinds(tokenizer)[0].numpy()
        self.corpus, self.tokenizer, self.tokens, self.seed = corpus, tokenizer, tokens, seed
        self.runs = [corpus.cut(length - 2, continues) for length in LENGTHS]

    def batch(self, step: int) -> Packed:
        """Return the texts of a step, about `tokens` of them."""
        turn, kind = divmod(step, len(LENGTHS))
        runs, size = self.runs[kind], self.tokens // LENGTHS[kind]
        chosen = runs[rows_of(turn, len(runs), size, self.seed)]
        cls, sep = self.tokenizer.cls_id, self.tokenizer.sep_id
        return pack([[cls, *self.corpus.ids[a:b].tolist(), sep] for a, b in chosen])


def states_error(student: Bert, teacher: Bert, packed: Packed) -> Tensor:
    """Return the squared error of the states, as a share of their variance, mean over layers."""
    with torch.no_grad():
        wanted = [states.float() for states in teacher.hidden_states(packed)]
    errors = [
        (found.float() - state).square().sum() / (state - state.mean(0)).square().sum()
        for found, state in zip(student.hidden_states(packed), wanted)
    ]
    return torch.stack(errors).mean()


def start(args: Arguments) -> MaskedLM:
    """Return the cut with a fresh masked-LM head. Dropout is off: no text is read twice."""
    encoder, _ = load_model(Bert, args.work / "cut")
    rates = dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), 0.0)
    model = MaskedLM(replace(encoder.config, **rates))
    initialise(model, 0.02, torch.Generator().manual_seed(args.seed))
    model.bert.load_state_dict(encoder.state_dict())
    model.bert.requires_grad_(not args.head_only)
    return model.to(args.device)


def train(args: Arguments) -> None:
    """Train until --steps, from the checkpoint if there is one."""
    text, tokenizer = args.work / "text", load_tokenizer(args.work / "cut")
    corpus, held = (
        Corpus(np.load(text / f"{name}ids.npy"), np.load(text / f"{name}ends.npy"))
        for name in ("", "held_")
    )
    masked = MaskedText(corpus, tokenizer, args.sequences, args.length, seed=args.seed)
    held_masked = MaskedText(held, tokenizer, 8, args.length, seed=1)
    texts = Texts(corpus, tokenizer, args.tokens, args.seed + 1)
    held_texts = Texts(held, tokenizer, 1024, 1)
    model, (teacher, _) = start(args), load_model(Bert, args.work / "cut")
    teacher.to(args.device).requires_grad_(False)

    def losses(step: int) -> dict[str, Tensor]:
        batch = to_device(masked.batch(step), args.device)
        parts = {"masked_lm": masked_lm_loss(model, batch)}
        if args.head_only:
            return parts
        packed = to_device(texts.batch(step), args.device)
        return parts | {"states": args.weight * states_error(model.bert, teacher, packed)}

    def evaluate() -> dict[str, float]:
        batches = [to_device(held_masked.batch(step), args.device) for step in range(32)]
        loss = float(np.mean([float(masked_lm_loss(model, b)) for b in batches]))
        packed = [to_device(held_texts.batch(step), args.device) for step in range(12)]
        errors = [float(states_error(model.bert, teacher, p)) for p in packed]
        return {"held_perplexity": math.exp(loss), "held_states": float(np.mean(errors))}

    settings = Settings(
        steps=args.steps, learning_rate=args.learning_rate, decay=args.decay, bf16=args.bf16
    )
    # On a CPU the backward pass of the fused kernel alone takes half of a bfloat16 step.
    slow_kernel = args.bf16 and args.device == "cpu"
    with sdpa_kernel(SDPBackend.MATH) if slow_kernel else nullcontext():
        pretrain(model, losses, settings, args.work / "run", evaluate, progress=True)


def export(args: Arguments) -> None:
    """Write the model of the last checkpoint."""
    if not args.out:
        raise MiniftError("export needs --out FOLDER")
    state = Checkpoints(args.work / "run" / "checkpoints").load()
    if state is None or not state["seen"]["records"]:
        raise MiniftError(f"{args.work / 'run'} has no trained model yet; run the stage train")
    model = start(args)
    model.load_state_dict(state["model"])
    encoder, _ = load_model(Bert, args.work / "cut")
    model.config = encoder.config
    tokenizer = load_tokenizer(args.work / "cut")
    save_pretrained(model, tokenizer, args.out, dtype=torch.float16, mean=True)
    for file in args.out.rglob("*.*"):
        file.chmod(0o644)  # safetensors lets only the owner read
    size = (args.out / "model.safetensors").stat().st_size / 1e6
    print(f"{args.out}: {size:.1f} MB, {json.dumps(state['seen']['records'][-1])}")


def main(argv: list[str] | None = None) -> None:
    """Run one stage, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage", choices=("all", "prepare", "train", "export"))
    parser.add_argument("--work", type=Path, required=True, help="folder of the run")
    parser.add_argument("--text", type=Path, nargs="+", help="text files (prepare)")
    parser.add_argument("--out", type=Path, help="folder of the checkpoint (export)")
    parser.add_argument("--teacher", default="minilm", help="whose lowest layers are taken")
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--max-characters", type=float, default=90e6)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--sequences", type=int, default=24, help="masked-LM sequences per step")
    parser.add_argument("--length", type=int, default=128, help="pieces of a sequence")
    parser.add_argument("--tokens", type=int, default=1024, help="with kept states, per step")
    parser.add_argument("--weight", type=float, default=10.0, help="of the states in the loss")
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--decay", type=float, default=0.5, help="share of the steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--head-only", action="store_true", help="leave the encoder as it is")
    parser.add_argument("--bf16", action="store_true", help="matrix products in bfloat16")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args(argv)
    stages = {"prepare": prepare, "train": train, "export": export}
    for name, stage in stages.items():
        if args.stage in ("all", name):
            stage(args)


if __name__ == "__main__":
    main()
