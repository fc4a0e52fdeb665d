"""Teacher and students on few labelled sentences: the runs behind the table of compact taggers.

    python data_scripts/entity_runs.py --data wnut17,ncbi_disease --out runs/entities

For each data set, size and seed a teacher is fine-tuned on that many sentences, and students are
made from the same sentences, the rest of the training split being text without labels:

    labels             the labelled sentences alone: no teacher, no text, random word vectors
    distilled          the labelled sentences and what the teacher believes of them
    distilled+pseudo   the same, and the text with the teacher's beliefs and pseudo-labels

Weights are chosen on the development split, the test split is scored once for each stored file.
A finished run is one line of OUT/runs.jsonl; the same command resumes where it was stopped.
At the end sizes and speeds are measured, alone on the machine, and OUT/table.md is written.
Other students (a CRF, another vocabulary or loss): call `study` with another `Plan`.

Proof    tests/data_scripts/test_entity_runs.py
"""

from __future__ import annotations

import argparse
import functools
import json
import shlex
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from study import mean_sd

from minift import __version__
from minift.compact.distill import Distillation
from minift.compact.report import alternating_speeds, bert_base, size_of
from minift.compact.run import distill
from minift.compact.store import FILE, STORAGES, load_student, save_student
from minift.compact.student import Student
from minift.compact.teacher import teacher_tags
from minift.compact.vocabulary import Words
from minift.compare.page import Bullets, Heading, Paragraph, Table, markdown
from minift.data.entities import entity_scores
from minift.data.examples import Dataset, TaggedExample, gold_tags
from minift.data.named import load_dataset
from minift.errors import MiniftError
from minift.files import atomic_write
from minift.journal import append_log, read_log
from minift.methods.recipes import recipe
from minift.runs.dealing import deal
from minift.runs.folder import load_run
from minift.runs.machine import machine
from minift.runs.train import subset, train
from minift.runs.tuned import FineTuned
from minift.training.loop import Seeds

TEACHER = "teacher"
ALONE, WITH_TEXT = "labels", "distilled+pseudo"
STUDENTS = {
    ALONE: {"teacher_weight": 0.0, "pseudo_weight": 0.0},
    "distilled": {"pseudo_weight": 0.0},
    WITH_TEXT: {},
}
SYSTEMS = (TEACHER, *STUDENTS)
Record = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What all runs share; a folder holds runs of one plan.

    Args:
        encoder, method, epochs, learning_rate: of the teacher; None takes the method's own.
        dev: development sentences that weights may be chosen by; None takes all.
        student: what the students are, and how they are trained.
        device: where to train.
    """

    encoder: str = "minilm"
    method: str = "full"
    epochs: int | None = None
    learning_rate: float | None = None
    dev: int | None = None
    student: Distillation = field(default_factory=Distillation)
    device: str = "cpu"


@dataclass(frozen=True)
class Job:
    """A teacher and its students: one data set, one size, one seed."""

    data: str
    labels: int
    seed: int

    def folder(self, out: Path) -> Path:
        """Where its runs are kept."""
        return out / self.data / f"{self.labels}-s{self.seed}"


def run_job(out: Path, plan: Plan, described: Record) -> list[Record]:
    """Return the records of a job; what its folder has the results of is not trained again."""
    job = Job(**described)
    dataset = load_dataset(job.data)
    dataset = replace(dataset, dev=subset(dataset.dev, plan.dev, 0))
    makers = {system: _teacher if system == TEACHER else _student for system in SYSTEMS}
    return [
        {**asdict(job), "system": system, **make(job.folder(out), plan, job, dataset, system)}
        for system, make in makers.items()
    ]


def _teacher(out: Path, plan: Plan, job: Job, dataset: Dataset, system: str) -> Record:
    folder, method = out / system, recipe(plan.method, plan.encoder)
    if not (folder / "result.json").exists():
        settings = method.settings
        if plan.epochs is not None:
            settings = replace(settings, epochs=plan.epochs)
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
            device=plan.device,
        )
    size = size_of(load_run(folder).model)._asdict()
    return {**_scores(folder), **size, "stored": {"float32": {"bytes": stored_bytes(folder)}}}


def _student(out: Path, plan: Plan, job: Job, dataset: Dataset, system: str) -> Record:
    folder, how = out / system, replace(plan.student, **STUDENTS[system])
    labelled = subset(dataset.train, job.labels, job.seed)
    drawn = {example.id for example in labelled}
    rest = [example.words for example in dataset.train if example.id not in drawn]
    if system == ALONE:
        how = replace(how, vectors="random", teacher_words=0)
    if not (folder / "result.json").exists():
        distill(
            load_run(out / TEACHER, plan.device),
            replace(dataset, train=labelled),
            rest if system == WITH_TEXT else [],
            folder,
            settings=how,
            seeds=Seeds.all(job.seed),
        )
    student, scores = load_student(folder), _scores(folder)
    stored = {"float32": {"bytes": stored_bytes(folder / FILE), "test": scores["test"]}}
    for storage in STORAGES[1:]:
        file = save_student(student, folder / storage, storage)
        found = load_student(file).evaluate(dataset.test).scores["entity_f1"]
        stored[storage] = {"bytes": stored_bytes(file), "test": found}
    return {**scores, **size_of(student.model)._asdict(), "stored": stored}


def _scores(folder: Path) -> Record:
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    strict = result["test_entities"]["strict"]["micro"]["f1"]
    return {"dev": result["dev"], "test": result["test"], "test_strict": strict,
            "seconds": result["seconds"]}  # fmt: skip


def _job_of(record: Record) -> Job:
    return Job(record["data"], record["labels"], record["seed"])


def study(out: Path, plan: Plan, jobs: Sequence[Job], processes: int = 1, command: str = "") -> str:
    """Do all jobs that are not done, measure, write the table, and return it.

    Raises:
        MiniftError: if the folder holds runs of another plan.
    """
    made = json.loads(json.dumps({"minift_version": __version__, **asdict(plan)}))
    file, log = out / "plan.json", out / "runs.jsonl"
    if file.is_file() and (old := json.loads(file.read_text(encoding="utf-8"))) != made:
        changed = ", ".join(k for k in sorted({*old, *made}) if old.get(k) != made.get(k))
        raise MiniftError(f"{out} holds runs of another plan ({changed}); choose another --out")
    atomic_write(file, json.dumps(made, indent=2) + "\n")
    done = {(_job_of(r), r["system"]) for r in read_log(log)}
    left = [job for job in jobs if {(job, system) for system in SYSTEMS} - done]
    do = functools.partial(run_job, out, plan)
    for job, records in deal(do, [*map(asdict, left)], processes):
        append_log(log, *(r for r in records if (Job(**job), r["system"]) not in done))
        print(*job.values(), flush=True)
    largest = {job.data: max(j.labels for j in jobs if j.data == job.data) for job in jobs}
    seed = jobs[0].seed
    reports = {d: measure(out, plan, Job(d, n, seed), command) for d, n in largest.items()}
    text = table([r for r in read_log(log) if _job_of(r) in jobs], reports, plan)
    atomic_write(out / "table.md", text)
    return text


def measure(out: Path, plan: Plan, job: Job, command: str) -> Record:
    """Compare sizes and speeds of the last student of a job with its teacher; kept in a file."""
    folder = job.folder(out)
    file = folder / "report.json"
    if not file.is_file():
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


TIMED = 200  # sentences, the first ones, that speed is measured on


def stored_bytes(path: str | Path) -> int:
    """Return the bytes of a weight file, or of all weight files of a folder."""
    path = Path(path)
    files = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
    if not files:
        raise MiniftError(f"{path}: no .safetensors file to measure")
    return sum(file.stat().st_size for file in files)


def compression_report(
    teacher: FineTuned,
    student: Student,
    examples: Sequence[TaggedExample],
    teacher_file: str | Path,
    student_file: str | Path,
    *,
    rounds: int = 5,
    command: str | None = None,
) -> dict[str, Any]:
    """Return what report.json says of a student and its teacher, which are on the same device.

    The examples are labelled sentences that neither was trained on, of which the first `TIMED` are
    timed; the files are those of the weights, or their folders. F1 is that of entities, micro, mode
    "conlleval"; agreement is the share of words that get the same tag, and the F1 of the student
    against the teacher. `command` is what was typed.
    """
    if not examples or any(example.tags is None for example in examples):
        raise MiniftError("the report needs labelled sentences to score teacher and student on")
    sentences: list[Words] = [example.words for example in examples]
    gold = gold_tags(examples)
    says_teacher, says_student = teacher_tags(teacher, sentences), student.tag(sentences)
    pairs = [(a, b) for x, y in zip(says_teacher, says_student) for a, b in zip(x, y)]
    some = sentences[:TIMED]
    speeds = alternating_speeds(
        lambda: teacher_tags(teacher, some), lambda: student.tag(some), len(some), rounds
    )
    large, small = sizes = size_of(teacher.model), size_of(student.model)
    stored = stored_bytes(teacher_file), stored_bytes(student_file)
    report: dict[str, Any] = {}
    for side, size, file_bytes, speed in zip(("teacher", "student"), sizes, stored, speeds):
        report |= {
            f"{side}_parameters": size.parameters,
            f"{side}_parameters_without_embeddings": size.without_embeddings,
            f"{side}_stored_bytes": file_bytes,
            f"{side}_sentences_per_second": round(speed.median, 2),
            f"{side}_sentences_per_second_range": [round(end, 2) for end in speed[1:]],
        }
    base, device = bert_base(teacher.labels), str(next(student.model.parameters()).device)
    return report | {
        "compression": large.parameters / small.parameters,
        "compression_without_embeddings": large.without_embeddings / small.without_embeddings,
        "compression_stored": stored[0] / stored[1],
        "bert_base_parameters_by_shapes": base.parameters,
        "compression_of_bert_base_by_shapes": base.parameters / small.parameters,
        "speedup": speeds[1].median / speeds[0].median,
        "teacher_f1": entity_scores(gold, says_teacher).micro.f1,
        "student_f1": entity_scores(gold, says_student).micro.f1,
        "agreement": sum(a == b for a, b in pairs) / len(pairs),
        "agreement_f1": entity_scores(says_teacher, says_student).micro.f1,
        "scored_sentences": len(sentences),
        "timed_sentences": len(some),
        "torch_threads": torch.get_num_threads(),
        "device": device,
        "machine": machine(device),
        "command": command,
    }


REPORT = """\
entity F1    teacher {teacher_f1:.3f}, student {student_f1:.3f} ({agreement:.1%} of words tagged \
alike)
parameters   teacher {teacher_parameters:,}, student {student_parameters:,}: {compression:.1f} \
times fewer ({compression_without_embeddings:.1f} without embedding tables)
stored       teacher {teacher_mb:.1f} MB, student {student_mb:.1f} MB: {compression_stored:.1f} \
times smaller
speed        teacher {teacher_sentences_per_second:.0f}, student \
{student_sentences_per_second:.0f} sentences per second: {speedup:.1f} times faster \
({torch_threads} threads, {device})
of a BERT-base teacher, {bert_base_parameters_by_shapes:,} parameters by shapes, the student has \
{compression_of_bert_base_by_shapes:.1f} times fewer
machine      {machine}"""


def report_text(report: dict[str, Any]) -> str:
    """Return in a few lines what `compression_report` found."""
    sides = ("teacher", "student")
    return REPORT.format(**report, **{f"{s}_mb": report[f"{s}_stored_bytes"] / 1e6 for s in sides})


def table(records: Sequence[Record], reports: dict[str, Record], plan: Plan) -> str:
    """Write all that was found as Markdown.

    Args:
        records: finished runs.
        reports: data set -> what `measure` returned.
        plan: what they share.
    """
    blocks = []
    for data, report in reports.items():
        some = [record for record in records if record["data"] == data]
        said = (*report_text(report).split("\n"), f"command: {report['command']}")
        blocks += [Heading(data), _f1_rows(some), _storage_rows(some), Bullets(said)]
    chosen = "all" if plan.dev is None else f"{plan.dev}"
    text = (
        f"Entity F1 (micro, IOB2, conlleval) on the test split in points, mean and sd over seeds. "
        f"Teacher: {plan.encoder}, {plan.method}. Students: {plan.student.head}, "
        f"{plan.student.steps} steps; their weights are the best on {chosen} sentences of the "
        "development split. "
        f"Nothing was tuned on the test split. Measured on {machine(plan.device)}."
    )
    return markdown([*blocks, Paragraph(text)])


def _f1_rows(records: Sequence[Record]) -> Table:
    rows = []
    for labels in sorted({record["labels"] for record in records}):
        some = [record for record in records if record["labels"] == labels]
        scores = {s: [100 * r["test"] for r in some if r["system"] == s] for s in SYSTEMS}
        seeds = str(len({r["seed"] for r in some}))
        rows.append((f"{labels:,}", seeds, *map(mean_sd, scores.values())))
    return Table(("labels", "seeds", *SYSTEMS), tuple(rows))


def _storage_rows(records: Sequence[Record]) -> Table:
    """What 32, 16 and 8 bits take and cost, over all sizes and seeds of the last student."""
    by_system = {system: [r for r in records if r["system"] == system] for system in SYSTEMS}
    teachers = {_job_of(r): r["stored"]["float32"]["bytes"] for r in by_system[TEACHER]}
    rows = []
    for storage in STORAGES:
        found = [(_job_of(r), r["test"], r["stored"][storage]) for r in by_system[WITH_TEXT]]
        size = statistics.mean(stored["bytes"] for *_, stored in found) / 1e6
        times = statistics.mean(teachers[job] / stored["bytes"] for job, _, stored in found)
        change = mean_sd((100 * (stored["test"] - test) for _, test, stored in found), "+.2f")
        rows.append((storage, f"{size:.2f}", f"{times:.1f}", change))
    header = (f"{WITH_TEXT}, stored as", "MB", "times smaller than the teacher", "change of F1")
    return Table(header, tuple(rows))


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add, usual = parser.add_argument, Distillation()
    add("--data", default="wnut17,ncbi_disease", help="named sets (default %(default)s)")
    add("--labels", type=_numbers, default=[150, 300, 750, 1500], metavar="N,N")
    add("--seeds", type=_numbers, default=[0, 1, 2], metavar="N,N", help="default 0,1,2")
    add("--out", type=Path, required=True, help="folder; the same command resumes in it")
    add("--processes", type=int, default=1, help="jobs at a time, each with its share of threads")
    add("--encoder", default="minilm", help="of the teacher (default %(default)s)")
    add("--method", default="full", help="of the teacher (default %(default)s)")
    add("--epochs", type=int, help="of the teacher (default: the method's own)")
    add("--learning-rate", type=float, help="of the teacher (default: the method's own)")
    add("--dev", type=int, metavar="N", help="development sentences to choose by (default all)")
    add("--head", choices=["softmax", "crf"], default="softmax", help="of the students")
    add("--steps", type=int, default=usual.steps, help="of a student (default %(default)s)")
    add("--student-learning-rate", type=float, default=usual.learning_rate)
    add("--evaluate-every", type=int, default=usual.evaluate_every, help="steps of a student")
    add("--teacher-words", type=int, default=0, help="words of the teacher's that a student knows")
    add("--device", choices=["cpu", "cuda"], default="cpu")
    args = parser.parse_args(arguments)
    student = replace(
        usual,
        head=args.head,
        steps=args.steps,
        learning_rate=args.student_learning_rate,
        evaluate_every=args.evaluate_every,
        teacher_words=args.teacher_words,
    )
    teacher = (args.encoder, args.method, args.epochs, args.learning_rate, args.dev)
    plan = Plan(*teacher, student, args.device)
    data = args.data.split(",")
    jobs = [Job(d, n, seed) for seed in args.seeds for d in data for n in args.labels]
    command = shlex.join(["python", "data_scripts/entity_runs.py", *(arguments or sys.argv[1:])])
    try:
        print(study(args.out, plan, jobs, args.processes, command))
    except MiniftError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
