from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.kit import ids


@given(st.uuids())
def test_an_id_comes_back(value: UUID) -> None:
    assert ids.decode(ids.JOB, ids.encode(ids.JOB, value)) == value


@given(st.uuids(), st.uuids())
def test_ids_sort_like_their_values(one: UUID, other: UUID) -> None:
    assert (one < other) == (ids.encode("x", one) < ids.encode("x", other))


def test_the_form_is_typeids() -> None:
    # The example of the TypeID specification.
    assert ids.encode("prefix", UUID("01890a5d-ac96-774b-bcce-b302099a8057")) == "prefix_01h455vb4pex5vsknk084sn02q"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "job",
        "job_",
        "job_01h455vb4pex5vsknk084sn02",
        "job_01h455vb4pex5vsknk084sn02qq",
        "job_81h455vb4pex5vsknk084sn02q",
        "job_01h455vb4pex5vsknk084sn02l",
        "job_01H455VB4PEX5VSKNK084SN02Q",
        "key_01h455vb4pex5vsknk084sn02q",
        "01h455vb4pex5vsknk084sn02q",
        "job_01h455vb4pex5vsknk084sn0\u0662q",
    ],
)
def test_what_is_not_an_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="id"):
        ids.decode(ids.JOB, text)


def test_new_ids_rise() -> None:
    made = [ids.new_id() for _ in range(1000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {value.version for value in made} == {7}
