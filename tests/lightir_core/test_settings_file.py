import pytest

from lightir_core.errors import DataError, SearchError
from lightir_core.settings_file import READERS, read_settings_file

TEXTS = {
    "x.toml": 'words = ["a", "b"]\nnumber = 2\n',
    "x.yaml": "words: [a, b]\nnumber: 2\n",
    "x.YML": "words:\n- a\n- b\nnumber: 2\n",
    "x.json": '{"words": ["a", "b"], "number": 2}',
}


def read(path, error=SearchError):
    return read_settings_file(path, what="settings", example="number = 2", error=error)


def test_every_known_form_has_a_text():
    assert {name[1:].lower() for name in TEXTS} == set(READERS)


@pytest.mark.parametrize("name", TEXTS)
def test_all_forms_say_the_same(tmp_path, name):
    (tmp_path / name).write_text(TEXTS[name])
    assert read(tmp_path / name) == {"words": ["a", "b"], "number": 2}


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("x.ini", b"", r"settings '.*x\.ini': the name must end in \.toml, \.yaml"),
        ("x.toml", b"number = \n", r"settings '.*x\.toml' cannot be read: "),
        ("x.json", b"{", r"cannot be read: "),
        ("x.yaml", b"a: [", r"cannot be read: "),
        ("x.toml", b"\xff\xfe", r"cannot be read: .*utf-8"),
        ("x.json", b"[1]", r"hold a list, expected lines such as number = 2"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, name, text, match):
    (tmp_path / name).write_bytes(text)
    with pytest.raises(SearchError, match=match):
        read(tmp_path / name)


def test_a_missing_file_is_an_error_of_the_asked_kind(tmp_path):
    with pytest.raises(DataError, match=r"cannot read settings '.*x\.json': No such file"):
        read(tmp_path / "x.json", DataError)
