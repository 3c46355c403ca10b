"""The map of files has every file of the package, with a sentence that says what it holds."""

from tests.architecture.file_map import ROOT, file_map, first_sentence


def test_every_file_has_a_sentence_of_its_own() -> None:
    sentences = dict(file_map([]))
    assert len(sentences) == len(list((ROOT / "channel_adapter").rglob("*.py")))
    assert [name for name, sentence in sentences.items() if not 10 < len(sentence) < 140] == []
    assert len(set(sentences.values())) == len(sentences)


def test_words_select_files() -> None:
    assert [name for name, _ in file_map(["usersig", "signature of every call"])] == [
        "channel_adapter/tencent/usersig.py"
    ]


def test_first_sentence_is_on_one_line() -> None:
    assert first_sentence('"""Read the\nlist. Then more."""') == "Read the list."
