# ruff: noqa: INP001 - a script, not a package
"""Render samples/sources into samples/corpus, and write samples/broken.

    python samples/build_corpus.py [--out DIR]

The HTML, Markdown and text documents of the corpus are written by hand and left alone: only PDF and DOCX are rendered.
Equal sources give equal bytes, so that a rebuild shows in a diff only what changed.
"""

import argparse
from pathlib import Path

from rendering.blocks import read_source
from rendering.broken import broken_files
from rendering.docx import render_docx
from rendering.pdf import render_pdf

HERE = Path(__file__).parent
RENDERERS = {"pdf": render_pdf, "docx": render_docx}
LENT_TO_BROKEN = HERE / "sources" / "pdf" / "claims-and-liability-policy.md"


def build(out: Path) -> list[Path]:
    """Write out/corpus and out/broken; returns the paths written, in order."""
    contents = {
        out / "corpus" / f"{path.stem}.{kind}": render(read_source(path))
        for kind, render in RENDERERS.items()
        for path in sorted((HERE / "sources" / kind).glob("*.md"))
    }
    contents |= {out / "broken" / name: content for name, content in broken_files(read_source(LENT_TO_BROKEN)).items()}
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return list(contents)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE, help="write corpus/ and broken/ here (default: beside me)")
    for written_path in build(parser.parse_args().out):
        print(written_path)  # noqa: T201 - the command's output
