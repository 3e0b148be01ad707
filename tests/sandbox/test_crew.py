"""What is the same of all fork servers, seen on those of Python programs."""

from __future__ import annotations

import os

import pytest

from awry.sandbox.crew import Crew
from awry.sandbox.forkserver import ForkServer, Request
from awry.sandbox.program import Limits, Outcome, Program, SandboxError
from awry.sandbox.python import PythonSandbox
from awry.sandbox.values import Returned
from awry.sandbox.worker import Worker, failure

FIVE = Program("", calls=("5",))
CORE = min(os.sched_getaffinity(0))


def worker(slot: int) -> Worker:
    return Worker(Limits(), "namespaces", CORE)


def failed(program: Program, error: str) -> Outcome:
    return failure(program, error, "none")


def test_replies_come_in_the_order_of_the_items() -> None:
    crew = Crew(2, worker, failed)
    items = [Program("", calls=(str(number),)) for number in range(9)]
    try:
        assert crew.servers == []  # until first needed
        found = crew.run(items)
        assert [outcome.values for outcome in found] == [(Returned(n),) for n in range(9)]
        assert crew.run([]) == []
    finally:
        crew.close()


def test_a_server_that_says_nothing_is_a_failure_not_a_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crew, submit = Crew(1, worker, failed), Worker.submit
    try:
        with monkeypatch.context() as patch:

            def hopeless(self: Worker, request: Request[Program]) -> None:
                self.patience = -1.0
                submit(self, request)

            patch.setattr(Worker, "submit", hopeless)
            (outcome,) = crew.run([FIVE])
        assert (outcome.status, outcome.isolation) == ("sandbox_error", "none")
        assert "no reply" in outcome.error
        assert crew.run([FIVE])[0].values == (Returned(5),)
    finally:
        crew.close()


def test_a_reply_may_be_asked_for_once_more() -> None:
    seen: list[Outcome] = []

    def again(outcome: Outcome) -> bool:
        seen.append(outcome)
        return outcome.values == (Returned(5),)

    crew = Crew(1, worker, failed, again)
    try:
        found = crew.run([FIVE, Program("", calls=("6",))])
    finally:
        crew.close()
    assert [outcome.values for outcome in found] == [(Returned(5),), (Returned(6),)]
    assert [outcome.values[0] for outcome in seen] == [Returned(5), Returned(6), Returned(5)]


def test_an_interrupted_batch_leaves_nothing_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with PythonSandbox(workers=1) as sandbox:
        with monkeypatch.context() as patch:

            def interrupt(self: ForkServer[Program, Outcome]) -> None:
                raise KeyboardInterrupt

            patch.setattr(ForkServer, "collect", interrupt)
            with pytest.raises(KeyboardInterrupt):
                sandbox.run([FIVE, FIVE])
        (outcome,) = sandbox.run([Program("", calls=("6",))])
    assert outcome.values == (Returned(6),)


def test_each_sending_has_nonces_of_its_own() -> None:
    server = worker(0)
    try:
        assert set(server.request(FIVE).nonces).isdisjoint(server.request(FIVE).nonces)
    finally:
        server.close()


def test_servers_that_are_isolated_differently_are_refused() -> None:
    crew = Crew(1, worker, failed, isolation="moat")
    with pytest.raises(SandboxError, match="isolation changed from moat"):
        crew.run([FIVE])
    assert crew.servers == []


def test_a_server_that_does_not_start_is_said_and_none_is_left() -> None:
    class Broken(Worker):
        def __init__(self) -> None:
            super().__init__(Limits(), "no such level", CORE)
            self.process.kill()

    crew = Crew(1, lambda _: Broken(), failed)
    with pytest.raises(SandboxError, match="did not start"):
        crew.start()
    assert crew.servers == []


def test_closed_stays_closed() -> None:
    crew = Crew(1, worker, failed)
    crew.close()
    with pytest.raises(SandboxError, match="closed"):
        crew.run([FIVE])
