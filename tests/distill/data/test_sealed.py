"""Sealed folders: every byte is looked at once, and again as soon as a file may have changed."""

import os
import time
from pathlib import Path

import pytest

from distill.data import sealed
from distill.data.sealed import damaged, seal, unsealed


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sealed folder that has been opened once, as if it had lain still before."""
    monkeypatch.setattr(sealed, "SETTLED", -1.0)
    made = tmp_path / "made"
    made.mkdir()
    (made / "a.bin").write_bytes(bytes(range(200)))
    (made / "b.bin").write_bytes(b"x" * 50)
    seal(made, {"rows": 3})
    assert unsealed(made)["rows"] == 3
    time.sleep(0.03)  # Times of files are coarser than those of the clock.
    return made


@pytest.fixture
def sums(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose bytes were looked at."""
    found, real = [], sealed.checksum
    monkeypatch.setattr(sealed, "checksum", lambda path: found.append(path.name) or real(path))
    return found


def test_what_has_been_verified_is_opened_without_reading_it(folder: Path, sums: list[str]) -> None:
    for _ in range(2):
        assert unsealed(folder)["rows"] == 3 and sums == []
    assert unsealed(folder, every_byte=True) and sorted(sums) == ["a.bin", "b.bin"]


def test_a_file_that_was_rewritten_is_found_with_its_old_size_and_time(folder: Path, sums: list[str]) -> None:
    """The time of change cannot be put back; only the file in question is read."""
    before = (folder / "a.bin").stat()
    with open(folder / "a.bin", "r+b") as file:
        file.seek(100)
        file.write(b"!")
    os.utime(folder / "a.bin", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (folder / "a.bin").stat().st_mtime_ns == before.st_mtime_ns
    assert unsealed(folder) is None and sums == ["a.bin"]


def test_a_file_that_was_put_in_its_place_is_found(folder: Path) -> None:
    before = (folder / "b.bin").stat()
    (folder / "other").write_bytes(b"y" * 50)
    os.utime(folder / "other", ns=(before.st_atime_ns, before.st_mtime_ns))
    (folder / "other").rename(folder / "b.bin")
    assert unsealed(folder) is None


def test_a_file_that_is_whole_but_touched_is_verified_once_more(folder: Path, sums: list[str]) -> None:
    os.utime(folder / "a.bin")
    assert unsealed(folder) and unsealed(folder) and sums == ["a.bin"]


def test_young_files_are_verified_each_time(folder: Path, sums: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Written within the same tick of the clock, a file could change and look the same."""
    monkeypatch.setattr(sealed, "SETTLED", 2.0)
    (folder / sealed.VERIFIED).unlink()
    for _ in range(2):
        assert unsealed(folder) and sorted(sums) == ["a.bin", "b.bin"]
        assert not (folder / sealed.VERIFIED).exists()
        sums.clear()


@pytest.mark.parametrize("content", ["{", "[]", '{"a.bin": 3}', ""])
def test_a_damaged_memory_costs_time_and_nothing_else(folder: Path, sums: list[str], content: str) -> None:
    (folder / sealed.VERIFIED).write_text(content)
    assert unsealed(folder) and sorted(sums) == ["a.bin", "b.bin"]


def test_what_a_disk_lost_by_itself_is_found_by_looking_at_every_byte(folder: Path, sums: list[str]) -> None:
    """A memory that belongs to other bytes stands for a disk whose bits turn beneath the file system."""
    (folder / "a.bin").write_bytes(bytes(200))
    sealed.write_json(folder / sealed.VERIFIED, {name: sealed._state(folder / name) for name in ("a.bin", "b.bin")})
    assert unsealed(folder) is not None, "what is remembered says nothing is wrong"
    assert list(damaged(folder.parent)) == [folder]
