import pathlib

import pytest

from tests.factories.knowledge import Library
from tests.factories.research import Research, searching

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def test_it(library: Library) -> None:
    r = Research(library.gateway, searching(library))
    for i, q in enumerate(
        [
            "How are damaged parcels claimed, and what does extended cover cost?",
            "What should a sender know about packaging fragile goods?",
            "Compare Express 12 and Express 24 in terms of transit time, price and guarantee",
        ]
    ):
        out = r.report(q, library.base_id)
        pathlib.Path(f"/tmp/wt/research-{i}.md").write_text(out.markdown)
        pathlib.Path(f"/tmp/wt/research-{i}.pdf").write_bytes(r.attempts[-1].artifacts["report.pdf"])
        print(r.steps)
