import json
import math
from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.tracking.record import LONGEST_TAG, RunRecord, cleaned, fingerprint, from_json, shortened, valid_names

RECORD = RunRecord(
    key="9f",
    parent="1a",
    name="travel/distilled/0",
    tags={"distill.role": "student"},
    params={"width": 16, "dropout": 0.5, "bias": True, "hash": None, "class": "students.DNN"},
    metrics={"ne": 0.9, "auc": None, "ne_gain": math.nan, "gap_closed": math.inf},
    curves={"valid/ne": [(0, 1.0), (10, math.nan), (20, 0.9)]},
    artifacts={"recipe.yaml": "tracking: {uri: 'https://ann:secret@host'}"},
    note="# Report",
)


def test_numbers_that_do_not_exist_are_left_out():
    assert cleaned(RECORD).metrics == {"ne": 0.9}
    assert cleaned(RECORD).curves == {"valid/ne": [(0, 1.0), (20, 0.9)]}


def test_parameters_read_as_in_the_recipe():
    expected = {"width": "16", "dropout": "0.5", "bias": "true", "hash": "null", "class": "students.DNN"}
    assert cleaned(RECORD).params == expected


def test_no_field_keeps_a_password():
    secret = "https://ann:secret@host"
    record = replace(
        RECORD, name=secret, tags={"a": secret}, params={"b": secret}, artifacts={"c": secret}, note=secret
    )
    assert "secret" not in json.dumps(asdict(cleaned(record)))


def test_json_brings_the_record_back():
    record = cleaned(RECORD)
    assert from_json(json.loads(json.dumps(asdict(record)))) == record


def test_the_fingerprint_is_of_the_content():
    record = cleaned(RECORD)
    assert fingerprint(record) == fingerprint(from_json(json.loads(json.dumps(asdict(record)))))
    for change in ({"note": "x"}, {"metrics": {"ne": 0.8}}, {"finished": False}, {"artifacts": {}}, {"curves": {}}):
        assert fingerprint(replace(record, **change)) != fingerprint(record)


@settings(deadline=None, max_examples=60)  # The first example imports mlflow.
@given(st.lists(st.text("ab/._@: é-", max_size=8) | st.text("a/é", min_size=236, max_size=260), max_size=9))
def test_mlflow_takes_every_name_and_none_comes_twice(names):
    from mlflow.utils.validation import _validate_metric_name, _validate_param_name, _validate_tag_name

    chosen = valid_names(names)
    assert set(chosen) == set(names)
    assert len(set(chosen.values())) == len(chosen)
    for name in chosen.values():
        _validate_metric_name(name)
        _validate_param_name(name)
        _validate_tag_name(name)
        assert 0 < len(name) <= 250 and name.isascii()


@given(st.lists(st.lists(st.text("ne09_-", min_size=1, max_size=9), min_size=1, max_size=4).map("/".join), max_size=8))
def test_good_names_stay(names):
    assert valid_names(names) == {name: name for name in names}


@given(st.text(max_size=400), st.integers(20, 300))
def test_a_long_text_keeps_its_ends(text, limit):
    short = shortened(text, limit)
    assert len(short) <= limit or short == text
    if len(text) > limit and "\n" not in text:
        head, _, tail = short.partition("\n...\n")
        assert text.startswith(head) and text.endswith(tail) and len(short) == limit


def test_a_long_table_keeps_whole_rows():
    rows = [f"| vertical {row} | {row / 1000:.4f} |" for row in range(1000)]
    kept = shortened("\n".join(rows), LONGEST_TAG).split("\n")
    assert kept[0] == rows[0] and kept[-1] == rows[-1]
    assert set(kept) - set(rows) == {"..."}
    assert len(kept) > 200


@pytest.mark.parametrize("key", ["", "a'b", 'a"b', "a\nb", "x" * 251])
def test_a_key_that_cannot_be_looked_up_is_refused(key):
    with pytest.raises(ValueError, match="key"):
        RunRecord(key=key, parent=None, name="x")


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "a//b", "", "."])
def test_an_artifact_stays_inside_its_run(name):
    with pytest.raises(ValueError, match="artifact"):
        RunRecord(key="k", parent=None, name="x", artifacts={name: "text"})


def test_a_status_that_mlflow_does_not_know_is_refused():
    with pytest.raises(ValueError, match="status"):
        RunRecord(key="k", parent=None, name="x", status="DONE")
