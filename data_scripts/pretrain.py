"""From raw text to a small BERT of your own: one command, or one stage at a time.

  python data_scripts/pretrain.py all   --work RUN --text wiki.txt.xz books.txt.xz --out my-bert
  python data_scripts/pretrain.py all   --work RUN --text *.txt --out my-bert --teacher minilm
  python data_scripts/pretrain.py train --work RUN          # resumes where it was stopped

Stages; each skips what is done, so a command may be stopped and given again at any time:

  prepare  text -> a WordPiece vocabulary, word pieces by document; with --teacher also a list
           of sentences and frequent words for it to read
  teach    (with --teacher) those -> the teacher's vectors, in chunks; start several with
           --worker 0 --workers 2, --worker 1 --workers 2 to use several cores
  train    masked-LM, and distillation together with it where there are vectors; RUN/run has
           log.jsonl and checkpoints. A larger or smaller --steps moves the end of the run
  export   a folder in Hugging Face layout with a model card

Text files hold one paragraph per line and an empty line between documents; .xz and .gz are read
as they are.

Proof    tests/pretraining/test_pretrain.py
"""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
import math
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import tokenizers
import torch
from distillation import WEIGHTS, Lessons, Student, distances, teach
from tokenizers import models, normalizers, pre_tokenizers, trainers
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from tqdm import tqdm

from minift.bert.config import BertConfig
from minift.bert.masked_lm import initialise
from minift.bert.packing import to_device
from minift.checkpoints.tokenizer import Tokenizer
from minift.checkpoints.tokenizer_files import SPECIAL_TOKENS
from minift.checkpoints.weights import load_encoder, save_pretrained
from minift.errors import MiniftError
from minift.files import atomic_directory_write, atomic_write
from minift.pretraining.corpus import Corpus, MaskedText
from minift.pretraining.pretrain import Settings, masked_lm_loss, pretrain
from minift.runs.machine import machine
from minift.runs.resume import Checkpoints

HELD_OUT_EVERY = 200  # of the documents
WORDS_FOR_TEACHER = 30_000
ALPHABET = 250  # rarer characters would fill a small vocabulary
HEAD_WIDTH = 32
Arguments = argparse.Namespace


# -- prepare ---------------------------------------------------------------------------------


def documents(path: Path) -> Iterator[list[str]]:
    """Yield the paragraphs of each document."""
    opened = {".xz": lzma.open, ".gz": gzip.open}.get(path.suffix, open)
    with opened(path, "rt", encoding="utf-8") as file:
        paragraphs: list[str] = []
        for line in file:
            if line := line.strip():
                paragraphs.append(line)
            elif paragraphs:
                yield paragraphs
                paragraphs = []
        if paragraphs:
            yield paragraphs


_SENTENCE_END = re.compile(
    r"(?<!\bMr)(?<!\bDr)(?<!\bMrs)(?<!\bSt)(?<!\b[A-Z])[.!?][\"'”’)]*\s+(?=[\"'“‘(]*[A-Z])"
)
_OPINION = re.compile(r"\b([Rr]eview|[Cc]ritic|[Pp]rais|[Aa]cclaim|[Dd]isappoint|[Dd]elight)")
_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")


def sentences(paragraph: str) -> Iterator[str]:
    """Cut a paragraph into sentences, and keep those of 4 to 36 words without a digit.

    A full stop after Mr, Mrs, Dr, St or an initial does not end a sentence. Digits make facts and
    lists, from which little can be learnt about the meaning of words.
    """
    ends = [match.end() for match in _SENTENCE_END.finditer(paragraph)]
    for start, end in zip([0, *ends], [*ends, len(paragraph)]):
        sentence = paragraph[start:end].strip()
        short = 4 <= sentence.count(" ") + 1 <= 36 and len(sentence) < 300
        if short and not re.search(r"\d", sentence):
            yield sentence


def prepare(args: Arguments) -> None:
    """Write RUN/text: the tokenizer, ids.npy and ends.npy, sentences.txt and words.txt."""
    folder = args.work / "text"
    if (folder / "text.json").is_file():
        return
    if not args.text:
        raise MiniftError("prepare needs --text FILE ...")
    rng = random.Random(args.seed)
    kept: list[list[str]] = []
    opinions: list[str] = []  # a third of the sentences, the rest evenly from the files
    by_file: list[list[str]] = []
    for path in args.text:
        found: list[str] = []
        everything = list(tqdm(documents(path), desc=path.name, unit=" documents", leave=False))
        rng.shuffle(everything)
        size, budget = 0, args.max_characters / len(args.text)
        for document in everything:
            if size < budget:
                kept.append(document)
                size += sum(map(len, document))
            for paragraph in document if args.teacher else []:
                (opinions if _OPINION.search(paragraph) else found).extend(sentences(paragraph))
        by_file.append(found)
    rng.shuffle(kept)
    tokenizer = train_vocabulary((line for d in kept for line in d), args.vocabulary)
    texts = ["\n".join(document) for document in kept]
    train = [text for number, text in enumerate(texts) if number % HELD_OUT_EVERY]
    if not train:
        raise MiniftError("the text has one document; put an empty line between documents")
    corpora = {"": Corpus.of(train, tokenizer)}
    corpora["held_"] = Corpus.of(texts[::HELD_OUT_EVERY], tokenizer)

    chosen = rng.sample(opinions, min(len(opinions), args.sentences // 3))
    share = (args.sentences - len(chosen)) // len(by_file)
    for found in by_file:
        chosen += rng.sample(found, min(len(found), share))
    chosen = sorted(set(chosen))
    rng.shuffle(chosen)
    words = frequent_words(chosen)
    rng.shuffle(words)

    def write(new: Path) -> None:
        tokenizer.save(new, positions=2 * args.length)
        for name, corpus in corpora.items():
            np.save(new / f"{name}ids.npy", corpus.ids)
            np.save(new / f"{name}ends.npy", corpus.ends)
        for name, lines in (("sentences.txt", chosen), ("words.txt", words)):
            (new / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    atomic_directory_write(folder, write)
    about = {
        "files": [path.name for path in args.text],
        "documents": len(train),
        "pieces": len(corpora[""].ids),
        "held-out documents": len(texts) - len(train),
    }
    atomic_write(folder / "text.json", json.dumps(about) + "\n")  # the last: now all is there


def train_vocabulary(texts: Iterable[str], size: int, lowercase: bool = False) -> Tokenizer:
    """Train a WordPiece vocabulary of `size`, the five special tokens included."""
    texts = list(texts)
    backend = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    counts = Counter(chain.from_iterable(map(backend.normalizer.normalize_str, texts)))
    letters = sorted(counts, key=lambda letter: (-counts[letter], letter))
    letters = sorted([letter for letter in letters if not letter.isspace()][:ALPHABET])
    # The library numbers letters inside a word as it meets them, in an order that changes from
    # run to run, and breaks ties by number. As "special tokens" they get their numbers here.
    given = [*SPECIAL_TOKENS.values(), *(f"##{letter}" for letter in letters)]
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        initial_alphabet=letters,
        limit_alphabet=len(letters),
        special_tokens=given,
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    by_id = sorted(backend.get_vocab().items(), key=lambda entry: entry[1])
    return Tokenizer.from_vocabulary([token for token, _ in by_id], lowercase=lowercase)


def frequent_words(lines: list[str]) -> list[str]:
    """Return the words that occur three times or more, each in its most frequent spelling.

    A word on its own is a very short sentence: the cheapest way to learn from the teacher what
    a rare word means.
    """
    counts = Counter(word for line in lines for word in _WORD.findall(line))
    words: dict[str, str] = {}
    for word, count in counts.most_common():
        if count < 3 or len(words) == WORDS_FOR_TEACHER:
            break
        words.setdefault(word.lower(), word)
    return list(words.values())


# -- teach -----------------------------------------------------------------------------------


def teach_all(args: Arguments) -> None:
    """Write RUN/teacher: the teacher's vectors of sentences and words."""
    if not args.teacher:
        return
    student = Tokenizer.from_directory(args.work / "text")
    teacher, tokenizer = load_encoder(args.teacher)
    teacher.to(args.device)
    atomic_write(args.work / "teacher" / "teacher.txt", f"{Path(args.teacher).name}\n")
    for file, name in (("sentences.txt", ""), ("words.txt", "words_")):
        lines = (args.work / "text" / file).read_text(encoding="utf-8").split("\n")[:-1]
        if not lines:
            raise MiniftError(
                f"{args.work / 'text' / file} is empty: `prepare` was run without --teacher, or "
                f"found no sentence; delete {args.work / 'text'} and give --teacher to all stages"
            )
        worker = {"worker": args.worker, "workers": args.workers}
        teach(lines, args.work / "teacher", student, teacher, tokenizer, name, args.bf16, **worker)


# -- train -----------------------------------------------------------------------------------


def train(args: Arguments) -> None:
    """Train until --steps, from the checkpoint if there is one."""
    text = args.work / "text"
    tokenizer = Tokenizer.from_directory(text)
    corpus = Corpus(np.load(text / "ids.npy", mmap_mode="r"), np.load(text / "ends.npy"))
    held = Corpus(np.load(text / "held_ids.npy"), np.load(text / "held_ends.npy"))
    masked = MaskedText(corpus, tokenizer, args.sequences, args.length, seed=args.seed)
    held_masked = MaskedText(held, tokenizer, 4, args.length, seed=1)
    lessons = None
    if (args.work / "teacher").is_dir():
        lessons = Lessons(args.work / "teacher", args.lessons, args.lower, seed=args.seed)
    config = BertConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=args.hidden,
        num_hidden_layers=args.layers,
        num_attention_heads=args.hidden // HEAD_WIDTH,
        intermediate_size=4 * args.hidden,
        max_position_embeddings=2 * args.length,
    )
    student = new_student(config, lessons.widths if lessons else None, args)

    def losses(step: int) -> dict[str, Tensor]:
        batch = to_device(masked.batch(step), args.device)
        parts = {"masked_lm": masked_lm_loss(student.model, batch)}
        if lessons:
            found = distances(student, to_device(lessons.batch(step), args.device))
            parts |= {name: WEIGHTS[name] * value for name, value in found.items()}
        return parts

    def evaluate() -> dict[str, float]:
        batches = [to_device(held_masked.batch(step), args.device) for step in range(32)]
        loss = float(np.mean([float(masked_lm_loss(student.model, b)) for b in batches]))
        found = {"held_masked_lm": loss, "held_perplexity": math.exp(loss)}
        for lower in (False, True) if lessons else ():
            each = [
                distances(
                    student, to_device(lessons.lesson(rows, [lower] * len(rows)), args.device)
                )
                for rows in np.array_split(lessons.held, -(-len(lessons.held) // 128))
            ]
            for name in each[0]:
                mean = float(np.mean([float(one[name]) for one in each]))
                found[f"held_{name}{'_lower' if lower else ''}"] = mean
        return found

    about = {
        "parameters": sum(p.numel() for p in student.model.parameters()),
        "masked_lm_tokens": args.sequences * args.length,
        "lessons": args.lessons if lessons else 0,
        "lesson_tokens": args.lessons * float(lessons.lengths.mean()) if lessons else 0.0,
        "different_lessons": len(lessons.train) if lessons else 0,
        "teacher": (args.work / "teacher" / "teacher.txt").read_text().strip() if lessons else None,
        "learning_rate": args.learning_rate,
        "machine": machine(args.device),
    }
    file = args.work / "run" / "about.json"
    there = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else about
    if other := [k for k in about if k != "machine" and there.get(k) != about[k]]:
        raise MiniftError(
            f"{args.work / 'run'} was begun with other {', '.join(other)}; only --steps, --decay "
            "and --seed may change while a run lasts"
        )
    atomic_write(file, json.dumps(about) + "\n")
    settings = Settings(
        steps=args.steps,
        learning_rate=args.learning_rate,
        decay=args.decay,
        seed=args.seed,
        bf16=args.bf16,
    )
    # On a CPU the backward pass of the fused kernel alone takes half of a bfloat16 step.
    slow_kernel = args.bf16 and args.device == "cpu"
    with sdpa_kernel(SDPBackend.MATH) if slow_kernel else nullcontext():
        pretrain(student, losses, settings, args.work / "run", evaluate, progress=True)


def new_student(config: BertConfig, widths: tuple[int, int] | None, args: Arguments) -> Student:
    """Draw the weights that training starts from."""
    rates = dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), args.dropout)
    student = Student(replace(config, **rates, classifier_dropout=None), widths)
    initialise(student, config.initializer_range, torch.Generator().manual_seed(args.seed))
    return student.to(args.device)


# -- export ----------------------------------------------------------------------------------


def export(args: Arguments) -> None:
    """Write the model of the last checkpoint and its card."""
    if not args.out:
        raise MiniftError("export needs --out FOLDER")
    tokenizer = Tokenizer.from_directory(args.work / "text")
    state = Checkpoints(args.work / "run" / "checkpoints").load()
    if state is None or not state["seen"]["records"]:
        raise MiniftError(f"{args.work / 'run'} has no trained model yet; run the stage train")
    weights, log = state["model"], state["seen"]["records"]
    layers = {name.split(".")[3] for name in weights if name.startswith("model.bert.layers.")}
    vocabulary, hidden = weights["model.bert.embeddings.word.weight"].shape
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        num_hidden_layers=len(layers),
        num_attention_heads=hidden // HEAD_WIDTH,
        intermediate_size=4 * hidden,
        max_position_embeddings=len(weights["model.bert.embeddings.position.weight"]),
    )
    thrown_away = [weights.get(f"thrown_away.{name}.bias") for name in ("cls", "word")]
    student = Student(config, None if thrown_away[0] is None else tuple(map(len, thrown_away)))
    student.load_state_dict(weights)
    save_pretrained(student.model, tokenizer, args.out, dtype=torch.float16)
    tokenizer.save(args.out, config.max_position_embeddings)
    atomic_write(args.out / "README.md", card(args, config, log))
    for file in args.out.iterdir():
        file.chmod(0o644)  # safetensors lets only the owner read
    size = (args.out / "model.safetensors").stat().st_size / 1e6
    print(f"{args.out}: {size:.1f} MB after {log[-1]['step']} steps")


CARD = """\
---
language: en
license: {licence}
---
# {name}

A small cased BERT ({layers} layers, {hidden} wide, {heads} heads, {parameters:.2f} million
parameters, {vocabulary} word pieces, {positions} positions), made for learning and for tests, not
for use in earnest. Trained from random weights by `data_scripts/pretrain.py` of minift.

| | |
|---|---|
| text | {files}; {documents} documents, {pieces:.1f} million word pieces |
| licence of the text | {text_licence} |
| objective | whole-word masked-LM (15 %, 80/10/10){distilled} |
| steps | {steps}, AdamW, learning rate {rate:g}, warm-up, constant, linear decay to 0 |
| tokens read | {masked_tokens:.1f} million masked-LM{lesson_tokens} |
| time | {minutes:.0f} minutes of training on the wall |
| machine | {machine} |
| held-out masked-LM | loss {loss:.3f}, perplexity {perplexity:.1f} on documents never trained on |
{held}
What it does not know: anything after its text; languages other than English. It has the views of
its text, some of it more than a century old.
"""


def card(args: Arguments, config: BertConfig, log: Sequence[dict]) -> str:
    """Write the model card from what the run left behind."""
    text, about = (
        json.loads((args.work / file).read_text(encoding="utf-8"))
        for file in ("text/text.json", "run/about.json")
    )
    held, teacher = log[-1], about["teacher"]

    def millions(name: str) -> float:
        return held["step"] * about[name] / 1e6

    lesson_tokens = held_cosines = ""
    if teacher:
        lesson_tokens = (
            f"; {millions('lessons'):.2f} million sentences and single words "
            f"({about['different_lessons']} different ones) with the teacher's vectors, "
            f"{millions('lesson_tokens'):.1f} million tokens"
        )
        held_cosines = (
            f"| held-out cosine to the teacher's sentence vector | {1 - held['held_cls']:.3f} from "
            f"[CLS], {1 - held['held_mean']:.3f} from the mean; in lower case "
            f"{1 - held['held_cls_lower']:.3f} and {1 - held['held_mean_lower']:.3f} |\n"
            f"| held-out error of the teacher's word vectors | {held['held_word']:.3f} of their "
            "variance |\n"
        )
    return CARD.format(
        licence=args.licence,
        name=args.out.name,
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        heads=config.num_attention_heads,
        parameters=about["parameters"] / 1e6,
        vocabulary=config.vocab_size,
        positions=config.max_position_embeddings,
        files=", ".join(text["files"]),
        documents=text["documents"],
        pieces=text["pieces"] / 1e6,
        text_licence=args.text_licence,
        distilled=f", together with distillation from {teacher} ({args.teacher_licence})"
        if teacher
        else ", no teacher",
        steps=held["step"],
        rate=about["learning_rate"],
        masked_tokens=millions("masked_lm_tokens"),
        lesson_tokens=lesson_tokens,
        minutes=held["seconds"] / 60,
        machine=about["machine"],
        loss=held["held_masked_lm"],
        perplexity=held["held_perplexity"],
        held=held_cosines,
    )


# -- command line ----------------------------------------------------------------------------

STAGES = {"prepare": prepare, "teach": teach_all, "train": train, "export": export}


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("stage", choices=[*STAGES, "all"])
    add("--work", type=Path, required=True, metavar="RUN", help="folder of everything but --out")
    add("--out", type=Path, help="folder of the finished checkpoint")
    add("--text", nargs="+", type=Path, default=[], help="text files (prepare)")
    add("--licence", default="other", help="licence of the weights, for the card")
    add("--text-licence", default="not stated", help="licence of the text, for the card")
    add("--teacher-licence", default="licence not stated", help="of the teacher, for the card")
    add("--teacher", help='checkpoint to learn from, e.g. "minilm"; none for masked-LM alone')
    add("--vocabulary", type=int, default=8000, help="word pieces (default %(default)s)")
    add("--max-characters", type=int, default=48_000_000, help="of text for masked-LM")
    add("--sentences", type=int, default=300_000, help="most sentences for the teacher")
    add("--worker", type=int, default=0, help="number of this process among --workers (teach)")
    add("--workers", type=int, default=1, help="processes that teach at the same time")
    add("--layers", type=int, default=3, help="layers (default %(default)s)")
    add("--hidden", type=int, default=192, help="width, a multiple of 32 (default %(default)s)")
    add("--length", type=int, default=128, help="of sequences; an eighth are twice as long")
    add("--sequences", type=int, default=8, help="masked-LM sequences of a step")
    add("--lessons", type=int, default=96, help="taught sentences of a step")
    add("--lower", type=float, default=0.4, help="share of them shown in lower case")
    add("--dropout", type=float, default=0.0, help="while pretraining (default %(default)s)")
    add("--steps", type=int, default=10_000, help="length of the run (default %(default)s)")
    add("--decay", type=float, default=0.4, help="share of the steps in which the rate falls")
    add("--learning-rate", type=float, default=2e-3, help="(default %(default)s)")
    add("--seed", type=int, default=0)
    add("--threads", type=int, help="processor threads (default: torch's choice)")
    add("--bf16", action="store_true", help="bfloat16 products; always so on a GPU")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the stages asked for."""
    args = parser().parse_args(arguments)
    args.device = "cuda" if torch.cuda.is_available() else "cpu"
    args.bf16 = args.bf16 or args.device == "cuda"
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        for name in STAGES if args.stage == "all" else [args.stage]:
            STAGES[name](args)
    except MiniftError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
