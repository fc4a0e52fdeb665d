"""What a tagger got right and wrong, for a person: both conventions side by side, error by error.

Claim    One score hides two choices: what a stray I- means, and what the tagger did instead. So
         the scores stand in both modes beside each other, with their scheme, and every false
         positive and false negative is shown in its sentence, with its words and characters.
Proof    tests/data/test_entity_report.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from minift.data.entities import Mode, entity_errors, entity_scores
from minift.data.examples import TaggedExample, gold_tags
from minift.data.tags import Span, Tags, word_places
from minift.files import atomic_write

MODES: tuple[Mode, ...] = get_args(Mode)


def side_by_side(gold: Sequence[Tags], predicted: Sequence[Sequence[str | None]]) -> dict[str, Any]:
    """Score entities in both modes; takes what `entity_scores` takes.

    Returns:
        {"scheme": "iob2", mode: {"per_type": {type: score}, "micro": score, "macro": score}},
        each score being the fields of an `EntityScore`; ready for JSON.
    """
    report: dict[str, Any] = {"scheme": "iob2"}  # what every reader returns
    for mode in MODES:
        report[mode] = asdict(entity_scores(gold, predicted, mode))
        del report[mode]["mode"]
    return report


def side_by_side_text(report: dict[str, Any]) -> str:
    """Lay out what `side_by_side` returned: one row per type, the two modes beside each other."""
    types = sorted({type_ for mode in MODES for type_ in report[mode]["per_type"]})
    nothing = {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0, "predicted": 0}
    rows = {name: [report[m]["per_type"].get(name, nothing) for m in MODES] for name in types}
    rows |= {f"{name} average": [report[m][name] for m in MODES] for name in ("micro", "macro")}
    width = max(map(len, rows))
    heading = "  ".join(f"{mode:^43}".rstrip().ljust(43) for mode in MODES)
    lines = [
        f"entities, scheme {report['scheme']}",
        f"{'':<{width}}  {heading}".rstrip(),
        f"{'type':<{width}}" + "  precision  recall      f1   gold  predicted" * 2,
    ]
    for name, scores in rows.items():
        cells = "".join(
            f"  {s['precision']:9.4f}  {s['recall']:6.4f}  {s['f1']:6.4f}  {s['support']:5d}"
            f"  {s['predicted']:9d}"
            for s in scores
        )
        lines.append(f"{name:<{width}}{cells}")
    return "\n".join(lines)


def error_list(
    examples: Sequence[TaggedExample],
    predicted: Sequence[Sequence[str | None]],
    mode: Mode = "conlleval",
) -> Iterator[dict[str, Any]]:
    """Describe each entity error (see `entity_errors`), sentence by sentence.

    Yields:
        {"kind", "sentence" (its id), "text" (its words joined by blanks), "gold", "predicted"};
        the last two are None or {"type", "text", "start_word", "end_word", "start", "end"}:
        words and characters of "text", from 0, the end not included.
    """
    for error in entity_errors(gold_tags(examples), predicted, mode):
        sentence = examples[error.sentence]
        yield {
            "kind": error.kind,
            "sentence": sentence.id,
            "text": " ".join(sentence.words),
            "gold": error.gold and _described(error.gold, sentence.words),
            "predicted": error.predicted and _described(error.predicted, sentence.words),
        }


def _described(span: Span, words: Sequence[str]) -> dict[str, Any]:
    places = word_places(words)
    return {
        "type": span.type,
        "text": " ".join(words[span.start : span.end]),
        "start_word": span.start,
        "end_word": span.end,
        "start": places[span.start][0],
        "end": places[span.end - 1][1],
    }


def write_errors(
    path: str | Path,
    examples: Sequence[TaggedExample],
    predicted: Sequence[Sequence[str | None]],
) -> None:
    """Write the error list, one JSON object per line; raises MiniftError if that is impossible."""
    errors = error_list(examples, predicted)
    atomic_write(path, "".join(f"{json.dumps(e, ensure_ascii=False)}\n" for e in errors))
