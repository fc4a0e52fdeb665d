"""What the teacher was trained on, found again.

claim                                                   oracle
the very sentences are found again, in files and sets   what the run was given
what is gone, changed or unknown is said                the words of the errors
"""

from __future__ import annotations

import json

import pytest

from minift.compact.source import (
    source_of_files,
    training_data,
)
from minift.data.files.readers import read_dataset
from minift.errors import MiniftError
from minift.methods.recipes import recipe
from minift.runs.train import subset, train
from minift.training.loop import Seeds, Settings
from tests.tiny import checkpoint, news


@pytest.fixture
def files(tmp_path):
    dataset, paths = news(), {}
    for split in ("train", "dev", "test"):
        paths[split] = tmp_path / f"{split}.conll"
        text = "\n\n".join(
            "\n".join(f"{w}\t{t}" for w, t in zip(e.words, e.tags)) for e in getattr(dataset, split)
        )
        paths[split].write_text(text + "\n", encoding="utf-8")
    return paths


def run_folder(folder, source, labels=10, seed=3, name="train"):
    folder.mkdir()
    made = {"data": name, "seeds": {"subset": seed}, "source": source}
    (folder / "run.json").write_text(json.dumps(made))
    (folder / "result.json").write_text(json.dumps({"labels": labels}))
    return folder


def test_the_sentences_of_a_run_on_files_are_found_again(files, tmp_path, monkeypatch):
    dataset = read_dataset(**files)
    options = {"format": "conll", "scheme": "iob2"}
    monkeypatch.chdir(tmp_path)
    relative = {split: path.name for split, path in files.items()}
    source = source_of_files(**relative, options=options)
    assert source["options"] == options
    monkeypatch.chdir("/")  # another folder, another day
    found = training_data(run_folder(tmp_path / "run", json.loads(json.dumps(source))))
    assert found.train == subset(dataset.train, 10, seed=3)
    assert (found.dev, found.test, found.labels) == (dataset.dev, dataset.test, dataset.labels)


def test_a_run_folder_as_it_is_written_today_names_a_set(tmp_path, monkeypatch):
    from dataclasses import replace

    dataset = replace(news(), name="wnut17")
    train(
        dataset, checkpoint(tmp_path / "encoder"), recipe("full"), labels=9, seeds=Seeds.all(4),
        settings=Settings(epochs=1), out=tmp_path / "run",
    )  # fmt: skip
    monkeypatch.setattr(
        "minift.compact.source.load_dataset", lambda name: {"wnut17": dataset}[name]
    )
    found = training_data(tmp_path / "run")
    assert found.train == subset(dataset.train, 9, seed=4)
    assert found.test == dataset.test


def test_what_is_gone_changed_or_unknown_is_said(files, tmp_path):
    source = source_of_files(**files, options={})
    run = run_folder(tmp_path / "run", source)
    files["dev"].write_text("Ada\tB-PER\n")
    with pytest.raises(MiniftError, match=r"dev\.conll: the dev file has changed.*--train FILE"):
        training_data(run)
    files["dev"].unlink()
    with pytest.raises(MiniftError, match=r"dev\.conll: the teacher's dev file is gone"):
        training_data(run)
    with pytest.raises(MiniftError, match="names its data only as 'mine'"):
        training_data(run_folder(tmp_path / "old", None, name="mine"))
    with pytest.raises(MiniftError, match="does not say what the teacher was trained on"):
        training_data(tmp_path)
