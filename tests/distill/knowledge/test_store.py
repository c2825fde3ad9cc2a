"""Knowledge on disk: what comes back is what was put down, whoever was killed in between."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from distill.errors import KnowledgeMismatch
from distill.files import read_json, whole_folder, write_json
from distill.knowledge import Knowledge, KnowledgeStore, Manifest
from distill.types import Prediction

ROWS, WIDTH = 40, 3


def manifest(**changes: object) -> Manifest:
    facts = {
        "fingerprint": "f00d",
        "teacher": "teachers.X",
        "data": "d",
        "view": "v",
        "row_id": "position",
        "rows": ROWS,
        "tasks": ("click",),
        "width": WIDTH,
        "kind": "time_ahead",
        "cut_off": 7.0,
    }
    return Manifest.model_validate(facts | changes)


def said(rows: np.ndarray) -> Prediction:
    generator = torch.Generator().manual_seed(1)
    every = torch.randn(ROWS, 1 + WIDTH, generator=generator) * 4
    return Prediction(every[rows, :1], every[rows, 1:])


def written(folder: Path, rows: np.ndarray) -> Knowledge:
    writer = KnowledgeStore(folder).writer(manifest())
    writer.add(rows, said(rows))
    writer.commit()
    return writer.finish({"snapshot": "s"})


def test_what_comes_back_is_what_was_put_down(tmp_path: Path) -> None:
    """To fp16, whose error is measured; rows that were not scored, and fills, are not covered."""
    knowledge = written(tmp_path, np.arange(0, ROWS, 2))
    rows = torch.tensor([[0, 2], [3, -1]])
    prediction, covered = knowledge.take(rows)
    assert covered.tolist() == [[True, True], [False, False]]
    expected = said(np.array([0, 2]))
    assert torch.equal(prediction.logit[0], expected.logit.half().float())
    assert torch.equal(prediction.representation[0], expected.representation.half().float())
    error = (said(np.arange(0, ROWS, 2)).logit - knowledge.take(torch.arange(0, ROWS, 2)).prediction.logit).abs().max()
    assert knowledge.facts["rounding_error"] == pytest.approx(error.item()) and error > 0
    assert knowledge.facts["covered"] == ROWS // 2
    assert knowledge.take(rows, representation=False).prediction.representation.shape == (2, 2, 0)


@pytest.mark.parametrize("shape", [(0,), (2, 0)])
def test_of_no_rows_nothing_is_said(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """Of a vertical without test rows, say."""
    prediction, covered = written(tmp_path, np.arange(ROWS)).take(torch.zeros(shape, dtype=torch.int64))
    assert prediction.logit.shape == (*shape, 1) and prediction.representation.shape == (*shape, WIDTH)
    assert covered.shape == shape


def test_an_unfinished_table_is_not_found(tmp_path: Path) -> None:
    """Not even if all its rows are there."""
    store = KnowledgeStore(tmp_path)
    writer = store.writer(manifest())
    writer.add(np.arange(ROWS), said(np.arange(ROWS)))
    writer.commit()
    assert store.find("f00d") is None
    writer.finish({})
    assert store.find("f00d") is not None and store.find("beef") is None


def test_the_state_is_that_of_the_last_shard(tmp_path: Path) -> None:
    """A shard without a state does not hide it; older states are deleted."""
    writer = KnowledgeStore(tmp_path).writer(manifest())
    assert writer.state() is None
    for number in range(3):
        writer.commit({"weight": torch.full((2,), float(number))})
    writer.commit()
    again = KnowledgeStore(tmp_path).writer(manifest())
    assert again.state()["weight"].tolist() == [2.0, 2.0]
    assert len(again.shards) == 4
    assert len(list(tmp_path.rglob("state.safetensors"))) == 1


@pytest.mark.parametrize("change", [{"teacher": "teachers.Y"}, {"rows": 41}, {"tasks": ("buy",)}, {"data": "other"}])
def test_a_table_of_another_teacher_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    """Nothing of it is overwritten."""
    written(tmp_path, np.arange(ROWS))
    with pytest.raises(KnowledgeMismatch, match="not of this teacher"):
        KnowledgeStore(tmp_path).writer(manifest(**change))
    assert KnowledgeStore(tmp_path).find("f00d").facts["covered"] == ROWS


def test_reading_with_other_rows_or_tasks_is_refused(tmp_path: Path) -> None:
    """With one sentence for each thing that differs."""
    knowledge = written(tmp_path, np.arange(ROWS))
    knowledge.require(data="d", tasks=("click",))
    with pytest.raises(KnowledgeMismatch) as caught:
        knowledge.require(data="e", tasks=("buy",))
    assert len(caught.value.faults) == 2


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
sys.path.insert(0, {tests!r})
from test_store import manifest, said
from distill.knowledge import KnowledgeStore
import torch
writer = KnowledgeStore(Path({folder!r})).writer(manifest())
for first in range(0, 40, 10):
    rows = np.arange(first, first + 10)
    writer.add(rows, said(rows))
    if first == 20:
        os.kill(os.getpid(), signal.SIGKILL)
    writer.commit({{"next": torch.tensor(first + 10)}})
"""


def test_a_killed_writer_goes_on_at_its_last_shard(tmp_path: Path) -> None:
    """And the table is the same as one written at once."""
    code = KILLED.format(tests=str(Path(__file__).parent), folder=str(tmp_path / "killed"))
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
    writer = KnowledgeStore(tmp_path / "killed").writer(manifest())
    first = int(writer.state()["next"])
    assert first == 20
    rows = np.arange(first, ROWS)
    writer.add(rows, said(rows))
    writer.commit()
    again, whole = writer.finish({}), written(tmp_path / "whole", np.arange(ROWS))
    for one, other in zip(again.take(torch.arange(ROWS))[0], whole.take(torch.arange(ROWS))[0], strict=True):
        assert torch.equal(one, other)


def test_the_draft_of_a_dead_process_is_swept(tmp_path: Path) -> None:
    """One of a living process is left alone."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    drafts = [tmp_path / f"target.{process}.draft" for process in (dead.pid, os.getppid())]
    for draft in drafts:
        draft.mkdir()
    with whole_folder(tmp_path / "target") as draft:
        (draft / "file").write_text("whole")
    assert [draft.exists() for draft in drafts] == [False, True]
    assert (tmp_path / "target" / "file").read_text() == "whole"


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    """A value that cannot be written leaves the old file."""
    write_json(tmp_path / "a.json", [1])
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", [object()])
    assert read_json(tmp_path / "a.json") == [1]
