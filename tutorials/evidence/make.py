"""Run what claims.py lists, and write what follows: python tutorials/evidence/make.py run|plan|page

Claim    claims.md, its plots and the lines of README are made from the logs alone: a sentence that
         the data does not support cannot stand there. `page --check` fails if they are not those
         that the logs give.
Proof    tests/tutorials/test_evidence.py

    run     do the runs that are missing, claim by claim, seed by seed; kill it and run it again
    plan    what each claim costs, what is done, what is missing
    page    claims.md and plots/, from runs.jsonl and asking.jsonl

A run is one line of runs.jsonl: all of a set's test part, or 2,000 texts of it; no development
part except where the method needs one (a quarter as many texts as labels). A curve of active
learning is one line of asking.jsonl. Texts of sets are read from MINIFT_DATA, see data_scripts.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE), str(HERE.parent)]  # this checkout's minift

from claims import CLAIMS, NOT_YET, Arm, Claim  # noqa: E402

from minift.active.loop import Learner  # noqa: E402
from minift.active.simulate import Plan, simulate  # noqa: E402
from minift.active.study import area  # noqa: E402
from minift.compare.statistics import (  # noqa: E402
    FEWEST,
    Difference,
    holm,
    paired_difference,
    signed,
)
from minift.data.examples import Dataset, TextExample, as_texts  # noqa: E402
from minift.data.intervals import t_quantile  # noqa: E402
from minift.errors import MiniftError  # noqa: E402
from minift.files import atomic_write  # noqa: E402
from minift.journal import append_log, read_log  # noqa: E402
from minift.methods.recipes import recipe  # noqa: E402
from minift.runs.machine import machine  # noqa: E402
from minift.runs.train import subset, train  # noqa: E402
from minift.training.loop import Seeds  # noqa: E402
from tests.benchmarks.few_labels import load as load_single  # noqa: E402

RUNS, ASKING = "runs.jsonl", "asking.jsonl"
PRECISION = "bf16"  # all runs in one: 0.03 points from float32 on average, in half of the time
MOST = 2000  # texts that are scored
POWER = 0.8
_LEFT_OUT = ("Linux", "minif")  # of the machine: the kernel, and minift, which is this one


class Job(NamedTuple):
    """What a training run is known by."""

    data: str
    labels: int
    method: str
    times: int
    encoder: str
    seed: int


# ---------------------------------------------------------------- runs


def jobs(claim: Claim) -> Iterator[Job]:
    """Yield a claim's training runs, seed by seed, so that an early end leaves whole pairs."""
    for seed in range(claim.seeds):
        for cell in claim.cells:
            yield from (job_of(claim, arm, cell, seed) for arm in (claim.control, claim.arm))


def job_of(claim: Claim, arm: Arm, cell: str, seed: int) -> Job:
    """Return the run of one side in one cell."""
    data, _, labels = cell.partition(":")
    return Job(data, arm.labels or int(labels), arm.method, arm.times, claim.encoder, seed)


@cache
def load(data: str) -> Dataset:
    """Return a set; the texts that are scored are cut to MOST, its development part is kept."""
    if data in ("ag_news", "banking77"):  # from what of them may be passed on
        return load_single(data)
    from minift.data.named import load_dataset

    dataset = load_dataset(data)
    return replace(dataset, test=subset(dataset.test, min(MOST, len(dataset.test)), 0))


def measure(job: Job) -> dict:
    """Do one run; return its line."""
    method = recipe(job.method, job.encoder)
    settings = replace(method.settings, precision=PRECISION)
    if job.times > 1:
        epochs = settings.epochs_for(job.labels) * job.times
        settings = replace(settings, epochs=epochs, min_steps=0)
    dataset = load(job.data)
    needs = method.schedule().needs_dev_loss
    dev = subset(dataset.dev, min(job.labels // 4, len(dataset.dev)), job.seed) if needs else ()
    began = time.process_time()
    _, result = train(
        replace(dataset, dev=dev), job.encoder, method, labels=job.labels,
        seeds=Seeds.all(job.seed), settings=settings,
    )  # fmt: skip
    spent = round(time.process_time() - began, 1)
    said = {"score": result["test"], "epochs": result["epochs"], "processor_seconds": spent}
    return {
        **job._asdict(),
        **said,
        "precision": PRECISION,
        "machine": ", ".join(part for part in machine().split(", ") if part[:5] not in _LEFT_OUT),
    }


def pool(name: str) -> Dataset:
    """Return a set to ask about, its texts once each; "skew": 1 text in 10 has the last label."""
    dataset = load_single(name.removesuffix("skew"))
    seen, parts = set(), {}
    for part in ("train", "test"):
        texts = []
        for example in as_texts(getattr(dataset, part)):
            if example.text not in seen:
                seen.add(example.text)
                texts.append((example.text, example.label))
        parts[part] = texts
    labels = dataset.labels
    if name.endswith("skew"):
        rare = sorted(dataset.labels)[-1]
        rest = "other" if len(labels) > 2 else next(label for label in labels if label != rare)
        labels = tuple(sorted((rare, rest)))
        for part, texts in parts.items():
            drawn = random.Random(f"{dataset.name} {part}")
            few = [row for row in texts if row[1] == rare]
            many = [(text, rest) for text, label in texts if label != rare]
            count = min(len(few), len(many) // 9)
            texts = drawn.sample(few, count) + drawn.sample(many, 9 * count)
            drawn.shuffle(texts)
            parts[part] = texts
    made = {
        part: tuple(TextExample(str(n), text, label=label) for n, (text, label) in enumerate(texts))
        for part, texts in parts.items()
    }
    metric = "macro_f1" if name.endswith("skew") else dataset.metric
    return replace(
        dataset, name=name, labels=labels, metric=metric, train=made["train"][:5000], dev=(),
        test=made["test"],
    )  # fmt: skip


def ask(name: str, encoder: str, strategies: tuple[str, ...], seeds: int, log: Path) -> None:
    """Simulate asking in a pool; a line per strategy and seed, its area under the curve."""
    plan = Plan(strategies, tuple(range(seeds)), rounds=8, query=40, initial=20, passes=20)
    done = {(r["pool"], r["strategy"], r["seed"]) for r in read_log(log)}
    if all((name, s, seed) in done for s in strategies for seed in plan.seeds):
        return
    work = Path(os.environ.get("MINIFT_WORK", tempfile.gettempdir())) / f"evidence-{name}"
    rounds = simulate(Learner(pool(name), encoder, "head"), plan, work)
    for seed in plan.seeds:
        for strategy in strategies:
            mine = [r for r in rounds if (r["strategy"], r["seed"]) == (strategy, seed)]
            counts, scores = ([r[key] for r in mine] for key in ("labelled", "test"))
            if (name, strategy, seed) not in done:
                line = {"pool": name, "strategy": strategy, "seed": seed, "encoder": encoder}
                line |= {"score": area(counts, scores), "labelled": counts, "scores": scores}
                append_log(log, line)


def run(folder: Path, claims: list[Claim], minutes: float, share: tuple[int, int]) -> None:
    """Do what is missing; begin nothing after so many minutes. Two programs may share the work."""
    end = time.monotonic() + 60 * minutes
    for claim in claims:
        if claim.asks and share[0] == 0:
            for name in claim.cells:
                if time.monotonic() < end:
                    ask(name, claim.encoder, ("random", "bald", "entropy"), claim.seeds,
                        folder / ASKING)  # fmt: skip
        if claim.asks:
            continue
        for number, job in enumerate(jobs(claim)):
            if number // 2 % share[1] != share[0] or job in done_in(folder):
                continue
            if time.monotonic() >= end:
                return
            line = measure(job)
            append_log(folder / RUNS, line)
            print(claim.name, *job, f"{line['score']:.4f}", f"{line['processor_seconds']} s")


def done_in(folder: Path) -> dict[Job, dict]:
    """Return the training runs that there are."""
    lines = read_log(folder / RUNS)
    return {Job(*(line[field] for field in Job._fields)): line for line in lines}


# ---------------------------------------------------------------- what follows


Scores = dict[str, tuple[list[float], list[float]]]  # cell -> arm's and control's, seed by seed


def scores(claim: Claim, folder: Path, cells: tuple[str, ...] = ()) -> Scores:
    """Return what both sides have, of the seeds that all `cells` (or the claim's) have on both."""
    cells = cells or claim.cells
    if claim.asks:
        found = {(r["pool"], r["strategy"], r["seed"]): r for r in read_log(folder / ASKING)}

        def line(arm: Arm, cell: str, seed: int) -> dict | None:
            return found.get((cell, arm.method, seed))
    else:
        done = done_in(folder)

        def line(arm: Arm, cell: str, seed: int) -> dict | None:
            return done.get(job_of(claim, arm, cell, seed))

    sides = (claim.arm, claim.control)
    whole = [
        seed for seed in range(claim.seeds)
        if all(line(arm, cell, seed) for arm in sides for cell in cells)
    ]  # fmt: skip
    key = "epochs" if claim.what == "epochs" else "score"
    result = {}
    for cell in cells:
        pair = tuple([line(arm, cell, seed)[key] for seed in whole] for arm in sides)
        if claim.what == "spread" and whole:
            pair = tuple([abs(value - fmean(side)) for value in side] for side in pair)
        result[cell] = pair
    return result


def pooled(found: Scores) -> Difference:
    """Return the difference, averaged over the cells for each seed."""
    means = [[fmean(values) for values in zip(*side)] for side in zip(*found.values())]
    return paired_difference(*means)


def would_see(d: Difference) -> float | None:
    """Return the least true difference that such a design sees with a power of 80 %."""
    n = len(d.differences)
    if n < FEWEST:
        return None
    quantiles = t_quantile(0.975, n - 1) + t_quantile(POWER, n - 1)
    return quantiles * stdev(d.differences) / n**0.5


def verdict(claim: Claim, d: Difference, p: float | None) -> str:
    """Return "holds", "does not hold", "cannot be told" or "not run"; p is Holm's."""
    if len(d.differences) < FEWEST or d.interval is None or p is None:
        return "not run"
    low, high = d.interval
    if claim.expected == "level":
        if -claim.margin < low and high < claim.margin:
            return "holds"
        return "does not hold" if p < 0.05 else "cannot be told"
    if claim.expected == "lower":
        low, high = -high, -low
    if p < 0.05:
        return "holds" if low > 0 else "does not hold"
    return "does not hold" if high < claim.margin else "cannot be told"


class Judged(NamedTuple):
    """A claim and what the data says of it."""

    claim: Claim
    found: Scores
    difference: Difference
    p: float | None
    verdict: str
    so_far: dict[str, Difference]  # of each cell, over all seeds that it has


def judge(folder: Path) -> list[Judged]:
    """Return all claims, Holm's correction over those that have a p-value."""
    found = [scores(claim, folder) for claim in CLAIMS]
    differences = [pooled(scores) for scores in found]
    tested = [number for number, d in enumerate(differences) if d.p is not None]
    corrected = dict(zip(tested, holm([differences[number].p for number in tested])))
    return [
        Judged(claim, found[n], differences[n], corrected.get(n),
               verdict(claim, differences[n], corrected.get(n)),
               {cell: pooled(scores(claim, folder, (cell,))) for cell in claim.cells})
        for n, claim in enumerate(CLAIMS)
    ]  # fmt: skip


def told(claim: Claim, value: float) -> str:
    """Write a difference: points of a score, or epochs."""
    return f"{value:+.1f}".replace("-", "−") if claim.what == "epochs" else signed(value)


def sentence(judged: Judged) -> str:
    """Say what was found, in one sentence."""
    claim, d = judged.claim, judged.difference
    unit = "epochs" if claim.what == "epochs" else "points"

    def text(d: Difference) -> str:
        low, high = (told(claim, end) for end in d.interval)
        seeds = f"{len(d.differences)} seeds"
        return f"{told(claim, d.mean)} {unit} (95 % interval {low} to {high}, {seeds})"

    if judged.verdict == "not run":
        known = [f"{cell} {text(part)}" for cell, part in judged.so_far.items() if part.interval]
        there = f"{len(d.differences)} of {claim.seeds} seeds are complete in all cells."
        return f"**Not run**: {there}" + f" So far: {'; '.join(known)}." * bool(known)
    least = told(claim, would_see(d)).lstrip("+")
    small = f"= {judged.p:.3f}" if judged.p >= 0.0005 else "< 0.001"
    cells = "; ".join(f"{cell} {told(claim, part.mean)}" for cell, part in judged.so_far.items())
    kind = {"spread": "distance from the mean over seeds"}.get(claim.what, claim.what)
    if claim.asks:
        kind = "score over the whole curve (macro F1 where a class is rare, else accuracy)"
    return (
        f"**{judged.verdict[0].upper()}{judged.verdict[1:]}**: {kind} of `{claim.arm}` minus that "
        f"of `{claim.control}`: {text(d)}; p {small} after Holm's correction. The design would "
        f"see {least} {unit} with 80 % power. In each cell: {cells}."
    )


def page(folder: Path) -> str:
    """Return claims.md."""
    all_judged = judge(folder)
    there = sorted({line["machine"] for line in read_log(folder / RUNS)})
    lines = [
        "# Claims, and what the runs say",
        "",
        "Written by `python tutorials/evidence/make.py page` from `runs.jsonl` and `asking.jsonl`;",
        "claims and cells are listed in `claims.py`, which says how a claim is tested.",
        "*Holds* and *does not hold* are after Holm's correction over all claims that have been",
        "run; a gain that lies below the least that would matter does not hold either.",
        "",
        *(f"- {machine}, one thread per run, {PRECISION}" for machine in there),
        "",
        "| claim | verdict | difference (95 % interval) | seeds |",
        "|---|---|---|---|",
    ]
    for judged in all_judged:
        claim, d = judged.claim, judged.difference
        interval = "" if d.interval is None else (
            f"{told(claim, d.mean)} ({told(claim, d.interval[0])} to {told(claim, d.interval[1])})"
        )  # fmt: skip
        lines.append(
            f"| [{claim.says}](#{claim.name}) | {judged.verdict} | {interval} | "
            f"{len(d.differences)} of {claim.seeds} |"
        )
    for judged in all_judged:
        claim = judged.claim
        lines += ["", f"## {claim.name}", "", f"{claim.says} ({claim.source}). {sentence(judged)}"]
        if judged.verdict != "not run":
            alt = f"Differences of {claim.arm} to {claim.control} in each cell, with intervals"
            lines += ["", f"![{alt}](plots/{claim.name}.png)"]
        lines += ["", f"`python tutorials/evidence/make.py run {claim.name}`"]
    lines += ["", "## Not in the queue yet", ""]
    lines += [f"- {says}: {why}." for says, why in NOT_YET.items()]
    return "\n".join(lines) + "\n"


def draw(judged: Judged, file: Path) -> None:
    """Draw a claim: a dot per seed, the mean and its interval for each cell and over all."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    from shared import BLUE, GREY, ORANGE

    claim = judged.claim
    scale = 1 if claim.what == "epochs" else 100
    rows = {
        cell.replace(":", ", "): paired_difference(*sides) for cell, sides in judged.found.items()
    }
    rows["all"] = judged.difference
    figure, axes = plt.subplots(figsize=(4.8, 0.8 + 0.32 * len(rows)))
    for place, (name, d) in enumerate(rows.items()):
        colour = ORANGE if name == "all" else BLUE
        values = [scale * value for value in d.differences]
        axes.plot(values, [place] * len(values), "o", color=colour, alpha=0.35, markersize=4)
        if d.interval:
            axes.plot([scale * end for end in d.interval], [place] * 2, color=colour, lw=3)
        axes.plot([scale * d.mean], [place], "|", color="black", markersize=12)
    axes.axvline(0, color=GREY, lw=1, ls="--")
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(
        f"{claim.arm} minus {claim.control}, {'epochs' if scale == 1 else 'points'}", fontsize=9
    )
    file.parent.mkdir(exist_ok=True)
    figure.savefig(file, dpi=130, metadata={"Software": None})
    plt.close(figure)


def plan(folder: Path) -> str:
    """Return what each claim costs: runs, done, and the core-hours of what is missing."""
    done = done_in(folder)
    lines, counted = [], set()
    for claim in CLAIMS:
        if claim.asks:
            lines.append(f"{claim.name:<20}{len(claim.cells) * claim.seeds:>5} curves per side")
            continue
        wanted = [job for job in dict.fromkeys(jobs(claim)) if job not in counted]
        counted |= set(wanted)
        missing = [job for job in wanted if job not in done]
        alike: dict[tuple, list[float]] = {}
        for job, line in done.items():
            alike.setdefault(job[:4], []).append(line["processor_seconds"])
        known = [fmean(alike[job[:4]]) for job in missing if job[:4] in alike]
        hours = sum(known) / 3600
        unknown = len(missing) - len(known)
        lines.append(
            f"{claim.name:<20}{len(wanted):>5} runs of its own, {len(missing):>4} missing: "
            f"{hours:.1f} core-hours" + (f" and {unknown} runs of unknown cost" if unknown else "")
        )
    return "\n".join(lines)


def main(argv: list[str] | None = None, folder: Path = HERE) -> int:
    """Do what is asked; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=("run", "plan", "page"))
    parser.add_argument("names", nargs="*", help="claims (default: all)")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no run after so many")
    parser.add_argument("--share", default="0/1", metavar="K/N", help="the K-th of N programs")
    parser.add_argument("--check", action="store_true", help="of page: fail if it would change")
    options = parser.parse_args(argv)
    known = {claim.name: claim for claim in CLAIMS}
    if unknown := set(options.names) - known.keys():
        raise MiniftError(f"no claim {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    chosen = [claim for name, claim in known.items() if not options.names or name in options.names]
    if options.command == "run":
        mine, _, of = options.share.partition("/")
        run(folder, chosen, options.minutes, (int(mine), int(of)))
    elif options.command == "plan":
        print(plan(folder))
    elif options.check:
        if (folder / "claims.md").read_text(encoding="utf-8") != page(folder):
            print("claims.md is not what the logs say; python tutorials/evidence/make.py page")
            return 1
    else:
        atomic_write(folder / "claims.md", page(folder))
        for judged in judge(folder):
            if judged.verdict != "not run":
                draw(judged, folder / "plots" / f"{judged.claim.name}.png")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except MiniftError as error:
        sys.exit(f"make.py: {error}")
    except KeyboardInterrupt:
        sys.exit("make.py: interrupted; the same command goes on from the last whole run")
