"""Real signals to this process."""

import os
import signal

import pytest

from search.errors import Interrupted
from search.execution.signals import StopRequest

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_asks_to_stop_and_the_second_ends_at_once(number: signal.Signals) -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    with StopRequest() as stop:
        stop.check()
        os.kill(os.getpid(), number)
        assert stop.requested()
        with pytest.raises(Interrupted):
            stop.check()
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), number)
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_signals_that_somebody_has_taken_over_are_taken_back() -> None:
    with StopRequest() as stop:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stop.arm()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested()
