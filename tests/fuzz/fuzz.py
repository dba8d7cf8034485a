"""Coverage-guided fuzzing of one reader.

    python tests/fuzz/fuzz.py READER [SECONDS]        READER as in tests/fuzzing.py; without one, their names

What crashes is left as a file beside the corpus, and becomes a row of tests/bad_input.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["milopyp_shared"]):
    from fuzzing import READERS, read_whatever


def main() -> None:
    if len(sys.argv) < 2:
        print("\n".join(READERS))
        return
    reader = READERS[sys.argv[1]]
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    with tempfile.TemporaryDirectory(prefix="milopyp-fuzz-") as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        path = Path(folder) / f"a{reader.suffix}"
        reader.make(corpus / f"good{reader.suffix}")

        def one(content: bytes) -> None:
            read_whatever(reader, path, content)

        left = f"-artifact_prefix={Path.cwd()}/{sys.argv[1].replace(' ', '_')}_"
        words = [sys.argv[0], str(corpus), f"-max_total_time={seconds}", "-max_len=8192", "-print_final_stats=1", left]
        atheris.Setup(words, one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
