from tests.observe.expressions import QUIET, asked, excuse_of, without_a_query


def test_each_series_that_may_be_quiet_is_asked_for() -> None:
    every = list(asked())
    assert without_a_query(every) == set()
    assert without_a_query([each for each in every if "breaker_state" not in each.expr]) == {
        "waybill_model_breaker_state"
    }


def test_a_query_of_a_healthy_stack_has_no_excuse() -> None:
    assert excuse_of("sum(rate(waybill_http_requests_total[60s]))") is None
    assert excuse_of("sum(waybill_messages_lost_total)") in QUIET
