import gc

import pytest

from core.kit.garbage import uncollected


def test_what_was_made_inside_is_left_out_of_later_collections_which_go_on() -> None:
    before = gc.get_freeze_count()
    with uncollected():
        assert not gc.isenabled()
        kept = [[number] for number in range(1000)]
    try:
        assert gc.isenabled()
        assert gc.get_freeze_count() >= before + len(kept)
    finally:
        gc.unfreeze()


def test_a_failed_import_leaves_the_collector_on() -> None:
    def fail() -> None:
        with uncollected():
            raise ModuleNotFoundError("gone")

    with pytest.raises(ModuleNotFoundError):
        fail()
    gc.unfreeze()
    assert gc.isenabled()
