"""Entity scores: an entity counts only where its words and its type are both exactly right.

Claim    Word accuracy flatters a tagger, because most words are "O". Precision, recall and
         F1 over whole entities do not: one that is a word too long is one false positive and
         one false negative. What an I- tag means when nothing before it can be continued moves
         the score, so whoever scores names the `mode`; a person sees both, and each error.
Paper    Tjong Kim Sang & De Meulder (2003), "Introduction to the CoNLL-2003 Shared Task",
         section 2, https://aclanthology.org/W03-0419/. Mode "conlleval", the default here and
         in seqeval, reads tags as its script of that name does.
Differs  conlleval prints percentages, and how many entities of a type were *found*; here scores lie
         in [0, 1], `support` counts the gold entities, and macro is the plain mean over the types
         in gold or prediction, 0 where there is none (nan in seqeval).
         seqeval's strict mode strips hyphens at a type's end ("B-X-" becomes X); kept here.
         Tags that are not IOB2 are refused; seqeval reads types such as "ERSON" from them.
Proof    tests/data/test_entities.py, tests/data/test_entity_report.py
Tutorial tutorials/09_entities
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from minift.data.examples import TaggedExample, gold_tags
from minift.data.tags import Span, Tags, located, spans_conlleval, spans_strict, word_places
from minift.errors import MiniftError, require_known
from minift.files import atomic_write

Mode = Literal["conlleval", "strict"]
MODES: tuple[Mode, ...] = get_args(Mode)
Predicted: TypeAlias = Sequence[Sequence[str | None]]  # None: a word that could not be scored


@dataclass(frozen=True)
class EntityScore:
    """Scores in [0, 1], and the three counts behind them."""

    precision: float  # correct / predicted, 0 if nothing was predicted
    recall: float  # correct / support, 0 if there is nothing to find
    f1: float  # harmonic mean of the two, 0 if both are 0
    support: int  # gold entities
    predicted: int  # predicted entities (false positives = predicted - correct)
    correct: int  # entities in both (false negatives = support - correct)


@dataclass(frozen=True)
class EntityReport:
    """Entity scores per type and averaged."""

    per_type: dict[str, EntityScore]  # each type in gold or prediction, sorted by name
    micro: EntityScore  # of all entities pooled; its f1 is *the* entity F1 of papers
    macro: EntityScore  # plain means over the types (its counts are those of micro)


def entity_scores(
    gold: Sequence[Tags], predicted: Predicted, mode: Mode = "conlleval"
) -> EntityReport:
    """Score predicted entities against gold ones, given an IOB2 tag for each word per sentence.

    A word that could not be scored (cut off by a length limit, say) counts as "O", so its entity
    counts as missed.
    """
    correct, found, support = Counter[str](), Counter[str](), Counter[str]()
    for true, guessed in _span_pairs(gold, predicted, mode):
        support.update(span.type for span in true)
        found.update(span.type for span in guessed)
        correct.update(span.type for span in set(true) & set(guessed))
    types = sorted(support | found)
    per_type = {type_: _score(correct[type_], found[type_], support[type_]) for type_ in types}
    micro = _score(correct.total(), found.total(), support.total())
    means = {
        name: sum(getattr(score, name) for score in per_type.values()) / max(len(types), 1)
        for name in ("precision", "recall", "f1")
    }
    return EntityReport(per_type, micro, macro=replace(micro, **means))


def _score(correct: int, predicted: int, support: int) -> EntityScore:
    precision, recall = correct / max(predicted, 1), correct / max(support, 1)
    f1 = 2 * correct / max(predicted + support, 1)
    return EntityScore(precision, recall, f1, support, predicted, correct)


class EntityError(NamedTuple):
    """One way in which gold and prediction disagree."""

    # "boundary" (they overlap, same type), "type" (same words), "boundary+type" (they overlap,
    # nothing else), "missed" (gold only), "spurious" (prediction only)
    kind: str
    sentence: int  # from 0
    gold: Span | None  # None if spurious
    predicted: Span | None  # None if missed


def entity_errors(gold: Sequence[Tags], predicted: Predicted) -> list[EntityError]:
    """Explain every false positive and every false negative of mode "conlleval", each once.

    A wrong prediction explains at most one gold entity. Of several that overlap, one of the
    right type is taken first, then the one that shares more words, then the one further left.
    They come by sentence, then by the place of the (gold, else predicted) entity.
    """
    errors: list[EntityError] = []
    for number, (true, guessed) in enumerate(_span_pairs(gold, predicted, "conlleval")):
        missed, spurious = set(true) - set(guessed), set(guessed) - set(true)
        overlaps = [
            (a.type != b.type, -shared, a.start, b.start, a, b)
            for a in missed
            for b in spurious
            if (shared := min(a.end, b.end) - max(a.start, b.start)) > 0
        ]
        found: list[EntityError] = []
        for wrong_type, *_, a, b in sorted(overlaps):
            if a in missed and b in spurious:
                missed.remove(a)
                spurious.remove(b)
                overlap = "boundary+type" if wrong_type else "boundary"
                found.append(EntityError("type" if a[1:] == b[1:] else overlap, number, a, b))
        found += [EntityError("missed", number, a, None) for a in missed]
        found += [EntityError("spurious", number, None, b) for b in spurious]
        errors += sorted(found, key=lambda e: next(s[1:] for s in (e.gold, e.predicted) if s))
    return errors


def _span_pairs(
    gold: Sequence[Tags], predicted: Predicted, mode: str
) -> Iterator[tuple[list[Span], list[Span]]]:
    """Yield the (gold, predicted) entities of each sentence, having checked every shape."""
    readers = {"conlleval": spans_conlleval, "strict": spans_strict}
    require_known("mode", mode, readers)
    if len(gold) == 0 or len(gold) != len(predicted):
        got = f"got {len(gold)} gold and {len(predicted)} predicted sentences"
        raise MiniftError(f"{got}; expected as many of one as of the other, and at least one")
    for number, (true, guessed) in enumerate(zip(gold, predicted)):
        where = f"sentence {number + 1}"
        if isinstance(true, str) or isinstance(guessed, str):
            raise MiniftError(f"{where} is a string; expected a sequence of tags per sentence")
        if len(true) != len(guessed):
            got = f"{where}: {len(true)} gold but {len(guessed)} predicted tags"
            raise MiniftError(f"{got}; give None for each word that could not be scored")
        side, known = "gold", ["O" if tag is None else tag for tag in guessed]
        try:
            spans = readers[mode](true)
            side = "predicted"
            yield spans, readers[mode](known)
        except MiniftError as error:
            raise MiniftError(f"{side} tags, {where}, {error}") from None


def side_by_side(gold: Sequence[Tags], predicted: Predicted) -> dict[str, Any]:
    """Score as `entity_scores` in both modes, for JSON.

    It is {"scheme": "iob2", mode: {"per_type": {type: score}, "micro": score, "macro": score}},
    each score being the fields of an `EntityScore`.
    """
    scores: dict[str, Any] = {m: asdict(entity_scores(gold, predicted, m)) for m in MODES}
    return {"scheme": "iob2", **scores}  # the scheme that every reader returns


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


def error_list(examples: Sequence[TaggedExample], predicted: Predicted) -> Iterator[dict[str, Any]]:
    """Describe each of the `entity_errors`, with the id of its sentence and its words as a text.

    Its "gold" and "predicted" are None or have the places of words and characters in the text,
    from 0, the end not included.
    """
    for error in entity_errors(gold_tags(examples), predicted):
        sentence = examples[error.sentence]
        text, places = " ".join(sentence.words), word_places(sentence.words)
        row: dict[str, Any] = {"kind": error.kind, "sentence": sentence.id, "text": text}
        for side, span in (("gold", error.gold), ("predicted", error.predicted)):
            row[side] = span and located(span, text, places)
        yield row


def write_errors(path: str | Path, examples: Sequence[TaggedExample], predicted: Predicted) -> None:
    """Write the error list, one JSON object per line; raises MiniftError if that is impossible."""
    errors = error_list(examples, predicted)
    atomic_write(path, "".join(f"{json.dumps(e, ensure_ascii=False)}\n" for e in errors))
