"""Signals become an exception, and leave time to keep what is done."""

import os
import signal
import threading

import pytest

from trackerlib.eval.interrupts import SIGNALS, Interrupted, Interrupts, check

unix = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs signals of Unix")


@unix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, 1])
def test_a_signal_is_raised_and_handlers_are_given_back(number):
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as caught, Interrupts():
        os.kill(os.getpid(), number)
    assert caught.value.number == number and signal.getsignal(number) == before


@unix
def test_a_signal_waits_while_something_is_held():
    with Interrupts() as interrupts:
        with interrupts.held():
            os.kill(os.getpid(), signal.SIGTERM)
            kept = True
        with pytest.raises(Interrupted, match="SIGTERM"):
            interrupts.check()
    assert kept


@unix
def test_a_signal_that_is_ignored_or_handled_stays_so():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as nohup does with SIGHUP
    try:
        with Interrupts():
            os.kill(os.getpid(), signal.SIGTERM)
        calls = []
        signal.signal(signal.SIGTERM, lambda *_: calls.append(1))
        with Interrupts():
            os.kill(os.getpid(), signal.SIGTERM)
        assert calls == [1]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_inside_one_another_the_outer_one_goes_on():
    with Interrupts() as outer:
        with Interrupts() as inner:
            pass
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGINT)
        assert outer.received == signal.SIGINT and inner.received is None


@unix
def test_what_comes_after_the_first_signal_is_not_heard():
    with pytest.raises(Interrupted, match="SIGTERM"), Interrupts() as interrupts:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:  # what is done is being kept
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
    assert interrupts.received == signal.SIGTERM


@unix
def test_nor_outside_of_the_inner_one_that_it_ended():
    with Interrupts() as outer:
        with pytest.raises(Interrupted), Interrupts():
            os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
    assert outer.received == signal.SIGINT


@unix
def test_the_last_thing_of_a_program_leaves_signals_ignored():
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        with Interrupts(last=True):
            pass
        assert {signal.getsignal(number) for number in SIGNALS} == {signal.SIG_IGN}
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_in_another_thread_nothing_changes():
    found = []

    def enter():
        with Interrupts():
            found.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [before]


@unix
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_that_python_ignored_is_raised_by_the_next_check():
    class Deleted:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGINT)

    with Interrupts():
        check()  # none came
        with pytest.raises(Interrupted, match="SIGINT"):
            Deleted()  # Python prints "Exception ignored", and goes on
            check()
    check()  # none of ours is in place
