from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.errors import RecipeError
from distill.tracking.address import absolute, check, database_file, redacted

WORD = st.text("abcXYZ019-._~!$&'()*+,;=%", min_size=1, max_size=12)


@given(
    user=WORD, password=WORD, host=st.text("abc.", min_size=1), scheme=st.sampled_from(["https", "postgresql+psycopg"])
)
def test_no_password_survives(user, password, host, scheme):
    text = f'tracking: "{scheme}://{user}:{password}X7q@{host}/db?a=1", then'
    assert redacted(text) == f'tracking: "{scheme}://***@{host}/db?a=1", then'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://ann:pa/ss@host/db", "postgresql://***@host/db"),
        ("https://ann:p@ss@host/", "https://***@host/"),
        ("https://token@host/", "https://***@host/"),
        ("http://h/x?token=abc&sort=1", "http://h/x?token=***&sort=1"),
        ("postgresql://h/x?sslpassword=abc", "postgresql://h/x?sslpassword=***"),
        ("http://u:p@a http://u:p@b", "http://***@a http://***@b"),
    ],
)
def test_credentials_are_cut_out(text, shown):
    assert redacted(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:///mlruns/mlflow.db",
        "https://host:8080/a@b",
        "mail ann@example.org",
        "recall@10",
        "https://h/x?sort=token",
    ],
)
def test_other_text_stays(text):
    assert redacted(text) == text


def test_a_relative_database_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert database_file("sqlite:///mlruns/mlflow.db") == tmp_path / "mlruns" / "mlflow.db"
    assert absolute("sqlite:///mlruns/mlflow.db") == f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    assert database_file("sqlite:////var/mlflow.db?timeout=3") == Path("/var/mlflow.db")
    assert absolute("https://host") == "https://host"


@pytest.mark.parametrize("uri", ["mlruns", "file:///tmp/mlruns", "sqlite:///:memory:", "sqlite://", ""])
def test_an_address_that_keeps_nothing_is_refused(uri):
    with pytest.raises(RecipeError, match=r"tracking\.uri"):
        check(uri)


@pytest.mark.parametrize("uri", ["sqlite:///a.db", "https://h", "postgresql://u:p@h/db"])
def test_databases_and_servers_are_taken(uri):
    check(uri)
