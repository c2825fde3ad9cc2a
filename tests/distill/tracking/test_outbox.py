from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill.tracking.journal import Entry, Journal
from distill.tracking.outbox import Outbox
from distill.tracking.record import RunRecord

RECORD = RunRecord(key="a", parent=None, name="first")
URI = "https://ann:secret@tracking.example"


@pytest.fixture
def outbox(tmp_path):
    return Outbox(tmp_path, URI, "news & sport/2")


@given(st.data())
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_journal_cut_anywhere_keeps_the_lines_before_and_takes_those_after(tmp_path, data):
    path = tmp_path / "journal.jsonl"
    path.unlink(missing_ok=True)
    journal = Journal(path)
    for number in range(3):
        journal.append(f"k{number}", f"r{number}", "c")
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    kept = whole[:cut].count(b"\n")

    again = Journal(path)
    assert set(again.entries) == {f"k{number}" for number in range(kept)}
    again.append("new", "r", "c")
    assert again.entries["new"] == Journal(path).entries["new"] == Entry("r", "c")
    assert set(Journal(path).entries) >= {"new", *(f"k{number}" for number in range(kept))}


def test_a_journal_sees_what_another_process_appends(tmp_path):
    one, two = Journal(tmp_path / "j"), Journal(tmp_path / "j")
    one.append("a", None, None)
    two.append("b", "r", "c")
    one.refresh()
    assert one.entries == two.entries == {"a": Entry(None, None), "b": Entry("r", "c")}


def test_records_come_out_in_their_order_with_their_last_content(outbox):
    assert outbox.put(RECORD)
    assert outbox.put(replace(RECORD, key="b", parent="a"))
    assert outbox.put(replace(RECORD, note="final"))
    first, second = outbox.waiting()
    assert (first.record.key, first.record.note, len(first.files)) == ("a", "final", 2)
    assert (second.record.key, second.record.parent) == ("b", "a")
    assert first.since <= second.at <= first.at


def test_equal_content_is_written_once_by_whoever_comes(outbox, tmp_path):
    assert outbox.put(RECORD) and not outbox.put(RECORD)
    assert not Outbox(tmp_path, URI, "news & sport/2").put(RECORD)
    (waiting,) = outbox.waiting()
    outbox.mark_sent(waiting, "r1")
    assert outbox.run_ids() == {"a": "r1"}
    again = Outbox(tmp_path, URI, "news & sport/2")
    assert not again.put(RECORD) and len(again) == 0
    assert again.put(replace(RECORD, name="second"))


def test_a_damaged_record_is_put_aside(outbox):
    outbox.put(RECORD)
    (waiting,) = outbox.waiting()
    waiting.files[0].write_text(waiting.files[0].read_text()[:40])
    outbox.put(replace(RECORD, key="b"))
    assert [found.record.key for found in outbox.waiting()] == ["b"]
    assert len(list(outbox.folder.rglob("*.damaged"))) == 1


def test_neither_folder_nor_file_shows_the_password(outbox):
    outbox.put(RECORD)
    assert outbox.folder.name.startswith("news-sport-2-")
    assert not any("secret" in str(path) or "secret" in path.read_text() for path in outbox.folder.rglob("*.json"))


def test_a_new_password_is_not_a_new_place(outbox, tmp_path):
    assert Outbox(tmp_path, URI.replace("secret", "other"), "news & sport/2").folder == outbox.folder
    assert Outbox(tmp_path, URI, "news").folder != outbox.folder
