"""Plain English, counted: a noun ("the input", "the occluded background") instead of a clause with "what"."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import deeplens_dof

ROOT = Path(__file__).parents[1]
MOST_PER_1000 = 2.0


def per_1000(text: str) -> float:
    """Occurrences of the word per 1,000 words."""
    words = re.findall(r"[A-Za-z']+", text)
    return 1000 * sum(word.lower() == "what" for word in words) / max(len(words), 1)


def docstrings(file: Path) -> list[str]:
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [
        node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, holders)
    ]
    return [text for node in nodes if (text := ast.get_docstring(node))]


def test_the_count_counts_words() -> None:
    assert per_1000("What it is, and whatever " + "word " * 95) == 10.0


def test_the_documentation_uses_nouns() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    assert per_1000("\n".join(page.read_text(encoding="utf-8") for page in pages)) < MOST_PER_1000


def test_docstrings_use_nouns() -> None:
    package = Path(deeplens_dof.__file__).parent
    text = "\n".join(one for file in sorted(package.rglob("*.py")) for one in docstrings(file))
    assert len(text.split()) > 10_000
    assert per_1000(text) < MOST_PER_1000
