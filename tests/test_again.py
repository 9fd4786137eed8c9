import pytest

from tests.again import failed_tests

END = "=== 2 failed, 4060 passed, 1 error in 992.41s (0:16:32) ===\n"


def test_what_failed_is_read_from_the_summary_without_its_group() -> None:
    log = (
        "FAILED tests/workers/test_money.py::test_a[before the end] - AssertionError: a - b\n"
        "FAILED tests/api/test_keys.py::test_b@tests/api/test_keys.py\n"
        "ERROR tests/e2e/test_demo.py::test_c@demo - TimeoutError\n"
    )
    assert failed_tests(log + END) == [
        "tests/workers/test_money.py::test_a[before the end]",
        "tests/api/test_keys.py::test_b",
        "tests/e2e/test_demo.py::test_c",
    ]


def test_a_run_that_was_cut_short_tells_nothing() -> None:
    with pytest.raises(ValueError, match="end"):
        failed_tests("FAILED tests/api/test_keys.py::test_b\n")
