"""Print every file of the package with the first sentence of its docstring: where to look, and where to add.

    python -m tests.architecture.file_map [WORD]...

With words, only files whose path or docstring contains all of them.
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def first_sentence(source: str) -> str:
    """Return the first paragraph of a module's docstring on one line, up to its first full stop."""
    paragraph = " ".join((ast.get_docstring(ast.parse(source)) or "").partition("\n\n")[0].split())
    sentence, stop, _ = paragraph.partition(". ")
    return sentence + stop.strip()


def file_map(words: list[str]) -> list[tuple[str, str]]:
    """Return path and sentence of the files that contain all words, whatever their case."""
    found = []
    for path in sorted((ROOT / "channel_adapter").rglob("*.py")):
        source, name = path.read_text(encoding="utf-8"), str(path.relative_to(ROOT))
        text = f"{name} {ast.get_docstring(ast.parse(source))}".lower()
        if all(word.lower() in text for word in words):
            found.append((name, first_sentence(source)))
    return found


if __name__ == "__main__":
    rows = file_map(sys.argv[1:])
    width = max((len(name) for name, _ in rows), default=0)
    for name, sentence in rows:
        sys.stdout.write(f"{name:{width}}  {sentence}\n")
