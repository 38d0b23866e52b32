"""What a person at a terminal is told: progress on one line, errors as one sentence each, on standard error."""

from __future__ import annotations

import shutil
import sys
import traceback
from pathlib import Path
from typing import Any

from .jobs import PlanError


class Terminal:
    """Progress on a terminal, errors as sentences on standard error."""

    def __init__(self, debug: bool) -> None:
        self.debug = debug
        self.on_terminal = sys.stderr.isatty()

    def stage(self, text: str) -> None:
        """What is being done now, on one line that is overwritten; nothing in a pipe."""
        if self.on_terminal:
            room = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r\x1b[K{on_one_line(text)[:room]}")
            sys.stderr.flush()

    def done(self, text: str) -> None:
        self.stage("")
        print(on_one_line(text), file=sys.stderr)

    def guard(self, name: str, work: Any) -> str | None:
        """Does the work; what went wrong is said in one sentence and returned, None when all is well."""
        from .photo.errors import shown

        try:
            work()
        except KeyboardInterrupt:
            self.stage("")
            raise
        except PlanError:
            raise
        except Exception as error:
            sentence = self._sentence(shown(name), error)
            self.stage("")
            if self.debug:
                traceback.print_exc()
            print(f"deeplens: {sentence}", file=sys.stderr)
            return sentence
        return None

    @staticmethod
    def _sentence(name: str, error: Exception) -> str:
        text = " ".join(str(error).split())
        if isinstance(error, MemoryError):
            return (
                f"{name}: there is not enough memory for it; make the picture smaller or close other programs"
            )
        if isinstance(error, (ValueError, OSError)) and text:
            return text if Path(name).name in text else f"{name}: {text}"
        kind = type(error).__name__
        return f"{name}: an error inside deeplens ({kind}: {text}); run it again with --debug and report it"


def on_one_line(text: str) -> str:
    """Names of files may hold line breaks and what moves a terminal's cursor."""
    return "".join(each if each.isprintable() else "?" for each in text)
