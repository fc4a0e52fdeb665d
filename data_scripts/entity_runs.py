"""Teacher and students on few labelled sentences: the runs behind the table of compact taggers.

    python data_scripts/entity_runs.py --data wnut17,ncbi_disease --out runs/entities

For each data set, size and seed a teacher is fine-tuned on that many sentences, and students are
made from the same sentences, the rest of the training split being text without labels:

    labels             the labelled sentences alone: no teacher, no text, random word vectors
    distilled          the labelled sentences and what the teacher believes of them
    distilled+pseudo   the same, and the text with the teacher's beliefs and pseudo-labels

Weights are chosen on the development split, the test split is scored once for each stored file.
A finished run is one line of OUT/runs.jsonl; the same command goes on where it was stopped.
At the end sizes and speeds are measured, alone on the machine, and OUT/table.md is written.

Proof    tests/data_scripts/test_entity_runs.py
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shlex
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from minift import __version__
from minift.compact.distill import Distillation
from minift.compact.report import compression_report, size_of, stored_bytes
from minift.compact.run import distill
from minift.compact.store import FILE, STORAGES, load_student, save_student
from minift.data.examples import Dataset
from minift.data.named import load_dataset
from minift.errors import MiniftError
from minift.files import atomic_write
from minift.methods.recipes import recipe
from minift.runs.folder import load_run
from minift.runs.machine import machine
from minift.runs.train import subset, train
from minift.training.loop import Seeds

TEACHER = "teacher"
STUDENTS = {
    "labels": {"teacher_weight": 0.0, "pseudo_weight": 0.0},
    "distilled": {"pseudo_weight": 0.0},
    "distilled+pseudo": {},
}
ALONE = "labels"
WITH_TEXT = "distilled+pseudo"
SYSTEMS = (TEACHER, *STUDENTS)


@dataclass(frozen=True)
class Plan:
    """What all runs share; a folder holds runs of one plan.

    Args:
        encoder, method, epochs, learning_rate: of the teacher; None takes the method's own.
        dev: development sentences that weights may be chosen by; None takes all.
        head, vectors, word_dropout, min_count, most_words, teacher_words: of the students, see
            `distill`.
        student: lengths, rates and weights of the students' training.
        device: where to train.
    """

    encoder: str
    method: str
    epochs: int | None
    learning_rate: float | None
    dev: int | None
    head: str
    vectors: str
    word_dropout: float
    min_count: int
    most_words: int | None
    teacher_words: int
    student: Distillation
    device: str


@dataclass(frozen=True)
class Job:
    """A teacher and its students: one data set, one size, one seed."""

    data: str
    labels: int
    seed: int

    def folder(self, out: Path) -> Path:
        """Where its runs are kept."""
        return out / self.data / f"{self.labels}-s{self.seed}"


def run_job(work: tuple[Path, Plan, Job, int | None]) -> Job:
    """Do what is not yet done of a job, adding a line for each finished run."""
    out, plan, job, threads = work
    if threads:
        torch.set_num_threads(threads)
    dataset = load_dataset(job.data)
    dataset = replace(dataset, dev=subset(dataset.dev, plan.dev, 0))
    done = {r["system"] for r in finished(out) if _job_of(r) == job}
    for system in SYSTEMS:
        if system not in done:
            make = _teacher if system == TEACHER else _student
            record = {**asdict(job), "system": system, **make(out, plan, job, dataset, system)}
            _append(out / "runs.jsonl", json.dumps(record) + "\n")
    return job


def _teacher(out: Path, plan: Plan, job: Job, dataset: Dataset, system: str) -> dict[str, Any]:
    folder, method = job.folder(out) / system, recipe(plan.method)
    if not (folder / "result.json").exists():
        settings = method.settings
        if plan.epochs is not None:  # who names the epochs means them
            settings = replace(settings, epochs=plan.epochs, min_steps=0)
        if plan.learning_rate is not None:
            settings = replace(settings, learning_rate=plan.learning_rate)
        train(
            dataset,
            plan.encoder,
            method,
            labels=job.labels,
            seeds=Seeds.all(job.seed),
            settings=settings,
            out=folder,
            source={"data": job.data},
            device=plan.device,
        )
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    size = asdict(size_of(load_run(folder).model))
    return {**_scores(result), **size, "stored": {"float32": {"bytes": stored_bytes(folder)}}}


def _student(out: Path, plan: Plan, job: Job, dataset: Dataset, system: str) -> dict[str, Any]:
    folder = job.folder(out) / system
    labelled = subset(dataset.train, job.labels, job.seed)
    drawn = {example.id for example in labelled}
    rest = [example.words for example in dataset.train if example.id not in drawn]
    if not (folder / "result.json").exists():
        teacher = load_run(job.folder(out) / TEACHER, plan.device)
        distill(
            teacher,
            replace(dataset, train=labelled),
            rest if system == WITH_TEXT else [],
            folder,
            settings=replace(plan.student, **STUDENTS[system]),
            seeds=Seeds.all(job.seed),
            head=plan.head,
            vectors="random" if system == ALONE else plan.vectors,
            word_dropout=plan.word_dropout,
            min_count=plan.min_count,
            most_words=plan.most_words,
            teacher_words=0 if system == ALONE else plan.teacher_words,
            cache=folder / "teacher.safetensors",
            report=False,
        )
        (folder / "teacher.safetensors").unlink(missing_ok=True)
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    student = load_student(folder)
    stored = {"float32": {"bytes": stored_bytes(folder / FILE), "test": result["test"]}}
    for storage in STORAGES[1:]:
        file = save_student(student, folder / storage, storage)
        found = load_student(file).evaluate(dataset.test).scores["entity_f1"]
        stored[storage] = {"bytes": stored_bytes(file), "test": found}
    return {**_scores(result), **asdict(size_of(student.model)), "stored": stored}


def _scores(result: dict[str, Any]) -> dict[str, Any]:
    strict = result["test_entities"]["strict"]["micro"]["f1"]
    return {"dev": result["dev"], "test": result["test"], "test_strict": strict,
            "seconds": result["seconds"]}  # fmt: skip


def finished(out: Path) -> list[dict[str, Any]]:
    """Read the finished runs; a last line that a kill cut off does not count."""
    path = out / "runs.jsonl"
    if not path.is_file():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1].splitlines()
    return [json.loads(line) for line in whole]


def _append(path: Path, line: str) -> None:
    with path.open("ab") as file:  # one write at the end of the file: processes do not mix
        file.write(line.encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())


def _job_of(record: dict[str, Any]) -> Job:
    return Job(record["data"], record["labels"], record["seed"])


def begin(out: Path, plan: Plan) -> None:
    """Open the folder for a plan; a half line that a kill left is cut off.

    Raises:
        MiniftError: if its runs are of another plan.
    """
    made = json.loads(json.dumps({"minift_version": __version__, **asdict(plan)}))
    file, runs = out / "plan.json", out / "runs.jsonl"
    if file.is_file() and (old := json.loads(file.read_text(encoding="utf-8"))) != made:
        changed = ", ".join(k for k in sorted({*old, *made}) if old.get(k) != made.get(k))
        raise MiniftError(f"{out} holds runs of another plan ({changed}); choose another --out")
    atomic_write(file, json.dumps(made, indent=2) + "\n")
    if runs.is_file():
        content = runs.read_bytes()
        os.truncate(runs, content.rfind(b"\n") + 1)


def measure(out: Path, plan: Plan, job: Job, command: str) -> dict[str, Any]:
    """Compare sizes and speeds of the last student of a job with its teacher; kept in a file."""
    file = job.folder(out) / "report.json"
    if not file.is_file():
        folder = job.folder(out)
        report = compression_report(
            load_run(folder / TEACHER, plan.device),
            load_student(folder / WITH_TEXT, plan.device),
            load_dataset(job.data).test,
            teacher_file=folder / TEACHER,
            student_file=folder / WITH_TEXT / FILE,
            command=command,
        )
        atomic_write(file, json.dumps(report, indent=2) + "\n")
    return json.loads(file.read_text(encoding="utf-8"))


def table(records: Sequence[dict[str, Any]], reports: dict[str, dict[str, Any]], plan: Plan) -> str:
    """Write all that was found as Markdown.

    Args:
        records: finished runs.
        reports: data set -> what `measure` returned.
        plan: what they share.
    """
    blocks = []
    for data in dict.fromkeys(record["data"] for record in records):
        of_data = [record for record in records if record["data"] == data]
        blocks += [f"## {data}", _f1_rows(of_data), _storage_rows(of_data)]
        if data in reports:
            blocks.append(_size_text(reports[data]))
    chosen = "all" if plan.dev is None else f"{plan.dev}"
    blocks.append(
        f"Entity F1 (micro, IOB2, conlleval) on the test split in points, mean and sd over seeds. "
        f"Teacher: {plan.encoder}, {plan.method}. Students: {plan.head}, {plan.student.steps} "
        f"steps; their weights are the best on {chosen} sentences of the development split. "
        "Nothing was tuned on the test split."
    )
    return "\n\n".join(blocks) + "\n"


def _f1_rows(records: Sequence[dict[str, Any]]) -> str:
    rows = [["labels", "seeds", *SYSTEMS]]
    for labels in sorted({record["labels"] for record in records}):
        some = [record for record in records if record["labels"] == labels]
        cells = [_mean_sd(r["test"] for r in some if r["system"] == s) for s in SYSTEMS]
        rows.append([f"{labels:,}", str(len({r["seed"] for r in some})), *cells])
    return _markdown(rows)


def _storage_rows(records: Sequence[dict[str, Any]]) -> str:
    """What 32, 16 and 8 bits take and cost, over all sizes and seeds of the last student."""
    students = [record for record in records if record["system"] == WITH_TEXT]
    teachers = {_job_of(r): r["stored"]["float32"]["bytes"] for r in records
                if r["system"] == TEACHER}  # fmt: skip
    rows = [[f"{WITH_TEXT}, stored as", "MB", "times smaller than the teacher", "change of F1"]]
    for storage in STORAGES if students else ():
        sizes = [r["stored"][storage]["bytes"] for r in students]
        times = [teachers[_job_of(r)] / size for r, size in zip(students, sizes)]
        change = (r["stored"][storage]["test"] - r["test"] for r in students)
        size = f"{statistics.mean(sizes) / 1e6:.2f}"
        rows.append([storage, size, f"{statistics.mean(times):.1f}", _mean_sd(change, "+.2f")])
    return _markdown(rows)


def _size_text(report: dict[str, Any]) -> str:
    def speed(side: str) -> str:
        slowest, fastest = report[f"{side}_sentences_per_second_range"]
        return f"{report[f'{side}_sentences_per_second']:.0f} ({slowest:.0f} to {fastest:.0f})"

    lines = [
        f"- parameters: teacher {report['teacher_parameters']:,}, student "
        f"{report['student_parameters']:,}: {report['compression']:.1f} times fewer "
        f"({report['compression_without_embeddings']:.1f} without embedding tables); a BERT-base, "
        f"by shapes, has {report['compression_of_bert_base_by_shapes']:.1f} times as many",
        f"- sentences a second: teacher {speed('teacher')}, student {speed('student')}: "
        f"{report['speedup']:.1f} times ({report['torch_threads']} threads)",
        f"- machine: {report['machine']}",
        f"- command: `{report['command']}`",
    ]
    return "\n".join(lines)


def _mean_sd(values: Iterable[float], form: str = ".1f") -> str:
    points = [100 * value for value in values]
    if not points:
        return "-"
    mean = format(statistics.mean(points), form)
    return mean if len(points) == 1 else f"{mean} ({statistics.stdev(points):.1f})"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [" | ".join(row) for row in rows]
    return "\n".join(f"| {line} |" for line in [lines[0], " | ".join("---" for _ in rows[0]),
                                                *lines[1:]])  # fmt: skip


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add, usual = parser.add_argument, Distillation()
    add("--data", default="wnut17,ncbi_disease", help="named sets (default %(default)s)")
    add("--labels", type=_numbers, default=[150, 300, 750, 1500], metavar="N,N")
    add("--seeds", type=_numbers, default=[0, 1, 2], metavar="N,N", help="default 0,1,2")
    add("--out", type=Path, required=True, help="folder; the same command goes on in it")
    add("--processes", type=int, default=1, help="jobs at a time, each with its share of threads")
    add("--encoder", default="minilm", help="of the teacher (default %(default)s)")
    add("--method", default="full", help="of the teacher (default %(default)s)")
    add("--epochs", type=int, help="of the teacher (default: the method's own)")
    add("--learning-rate", type=float, help="of the teacher (default: the method's own)")
    add("--dev", type=int, metavar="N", help="development sentences to choose by (default all)")
    add("--head", choices=["softmax", "crf"], default="softmax", help="of the students")
    add("--word-vectors", choices=["teacher", "random"], default="teacher")
    add("--steps", type=int, default=usual.steps, help="of a student (default %(default)s)")
    add("--student-learning-rate", type=float, default=usual.learning_rate)
    add("--batch-size", type=int, default=usual.batch_size, help="labelled sentences of a step")
    add("--unlabelled-batch-size", type=int, default=usual.unlabelled_batch_size)
    add("--evaluate-every", type=int, default=usual.evaluate_every, help="steps of a student")
    add("--word-dropout", type=float, default=0.05)
    add("--min-count", type=int, default=2, help="a rarer word is an unknown one")
    add("--most-words", type=int, metavar="N", help="size of the students' vocabulary")
    add("--teacher-words", type=int, default=0, metavar="N", help="of its vocabulary, known too")
    add("--device", choices=["cpu", "cuda"], default="cpu")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Do all jobs that are not done, then measure and write the table."""
    args = parser().parse_args(arguments)
    plan = Plan(
        args.encoder,
        args.method,
        args.epochs,
        args.learning_rate,
        args.dev,
        args.head,
        args.word_vectors,
        args.word_dropout,
        args.min_count,
        args.most_words,
        args.teacher_words,
        Distillation(
            steps=args.steps,
            learning_rate=args.student_learning_rate,
            batch_size=args.batch_size,
            unlabelled_batch_size=args.unlabelled_batch_size,
            evaluate_every=args.evaluate_every,
        ),
        args.device,
    )
    command = shlex.join(["python", "data_scripts/entity_runs.py", *(arguments or sys.argv[1:])])
    try:
        begin(args.out, plan)
        names = args.data.split(",")
        jobs = [Job(d, n, s) for s in args.seeds for d in names for n in args.labels]
        done = [(r["data"], r["labels"], r["seed"], r["system"]) for r in finished(args.out)]
        left = [j for j in jobs if {(*asdict(j).values(), s) for s in SYSTEMS} - set(done)]
        threads = max(1, torch.get_num_threads() // args.processes)
        work = [(args.out, plan, job, threads) for job in left]
        started = time.perf_counter()

        def report(number: int, job: Job) -> None:
            minutes = (time.perf_counter() - started) / 60
            print(f"{number} of {len(left)} jobs: {job}, {minutes:.1f} minutes", flush=True)

        if args.processes == 1:
            for number, one in enumerate(work, 1):
                report(number, run_job(one))
        else:
            context = multiprocessing.get_context("spawn")
            with context.Pool(args.processes, maxtasksperchild=1) as pool:
                for number, job in enumerate(pool.imap_unordered(run_job, work), 1):
                    report(number, job)
        largest = {name: Job(name, max(args.labels), args.seeds[0]) for name in names}
        reports = {n: measure(args.out, plan, job, command) for n, job in largest.items()}
        records = [r for r in finished(args.out) if _job_of(r) in jobs]
        text = table(records, reports, plan) + f"\nMeasured on {machine(args.device)}.\n"
        atomic_write(args.out / "table.md", text)
        print(text)
    except MiniftError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
