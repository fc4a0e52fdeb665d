"""Whatever a batch file holds, nothing foreign gets in and nothing but MiniftError gets out.

claim                                                         oracle
mutated exports, random bytes, any JSON in any place:         hypothesis
no error but MiniftError; every id of the project, every
label of the set, a tag for each word; messages can be printed
"""

from __future__ import annotations

import functools
import json
import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from minift.errors import MiniftError
from minift.label.formats.exchange import read_answers
from tests.label.test_exchange import (
    CASES,
    CLASSES,
    PAIRS,
    TAGS,
    TOOLS,
    _suffix,
    answered,
    random_tags,
    sentences,
    texts,
    write_read,
)


@functools.cache
def seeds(task):
    """Good exports of a few texts with every tool, to be mutated; built once."""
    few = dict(list((texts() if task == "classification" else sentences()).items())[:6])
    labels = CLASSES if task == "classification" else TAGS
    answers = {
        id_: "pos" if task == "classification" else random_tags(e.words, random.Random(id_))
        for id_, e in few.items()
    }
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for tool in [tool for tool, t in CASES if t == task]:
            write_read(Path(folder), tool, task, few, labels, answers)
            format = TOOLS[tool][0]
            found.append((format, (Path(folder) / f"batch{_suffix(tool)}").read_bytes()))
    return few, labels, found


SCRAPS = [b"", b"\n", b",", b'"', b"\t", b"\xff", b"\x00", b"null", b"[]", b"{}", b"1e999", b"-1",
          b"pos", b"B-PER", b"I-PER", b"O", b"?", b"[[]]", b'"\\ud800"', b"true", b"1", b"\r",
          b" ", b"# id = 7-0\n", b'{"text": "plain"}']  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["classification", "tagging"]), st.data())
def test_mutated_exports_raise_nothing_else_and_let_in_no_foreign_id_or_label(task, data):
    examples, labels, good = seeds(task)
    format, content = data.draw(st.sampled_from(good))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content)))
        cut = data.draw(st.sampled_from([0, 1, 2, 4, 20]))
        content = content[:at] + data.draw(st.sampled_from(SCRAPS)) + content[at + cut :]
    _only_what_is_known(format, content, examples, labels, task)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(PAIRS), st.binary(max_size=200), st.booleans())
def test_random_bytes_raise_nothing_else_and_let_in_nothing(pair, content, named):
    examples, labels, _ = seeds(pair[1])
    _only_what_is_known(pair[0] if named else None, content, examples, labels, pair[1])


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["pos", "PER", "plain", "7-0", "Ada sings", "submitted", "labels"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "data",
                    "text",
                    "minift_id",
                    "id",
                    "annotations",
                    "result",
                    "value",
                    "choices",
                    "labels",
                    "label",
                    "start",
                    "end",
                    "type",
                    "fields",
                    "responses",
                    "status",
                    "label.responses",
                    "label.responses.status",
                    "annotation_id",
                    "meta",
                    "entities",
                    "Comments",
                    "updated_at",
                    "was_cancelled",
                    "_server_id",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from([p for p in PAIRS if p[0] not in ("csv", "conll")]),
    st.lists(json_values),
    st.data(),
)
def test_any_json_in_any_place_raises_nothing_else_and_lets_in_nothing_foreign(pair, rows, data):
    examples, labels, good = seeds(pair[1])
    seed = next(content for format, content in good if format == pair[0])
    base = (
        [json.loads(line) for line in seed.splitlines()]
        if pair[0] == "doccano"
        else json.loads(seed)
    )
    for row in base:  # one value of a good file replaced by anything
        key = data.draw(st.sampled_from(sorted(row)))
        row[key] = data.draw(json_values)
    everything = [*base, *rows]
    body = (
        "\n".join(map(json.dumps, everything)) if pair[0] == "doccano" else json.dumps(everything)
    )
    _only_what_is_known(pair[0], body.encode(), examples, labels, pair[1])


def _only_what_is_known(format, content, examples, labels, task):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "batch.json"
        path.write_bytes(content)
        try:
            imported = read_answers(path, format, examples, labels, task)
        except MiniftError:
            return
    for answer in imported.answers:
        example = examples[answer.id]
        if answer.label is not None and task == "tagging":
            assert len(answer.label) == len(example.words) and set(answer.label) <= set(labels)
        elif answer.label is not None:
            assert answer.label in labels
    assert set(imported.unanswered) <= set(examples)
    assert not set(imported.unanswered) & set(answered(imported))
    for problem in imported.problems:
        problem.encode()  # can be printed: no half characters
        assert problem.startswith("batch.json: ")
