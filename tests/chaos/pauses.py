"""Scenarios in which processes stand still for a while (SIGSTOP), as on an overcommitted machine, and then go on."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from contextlib import suppress

import psutil

from tests.chaos.system import WORKERS
from tests.chaos.trial import Trial

PAUSE_SECONDS = 20.0


def pauses(trial: Trial, *, seconds: float = PAUSE_SECONDS) -> None:
    """Stop a worker, one of its processes, beat, the web, Redis, or a backend of PostgreSQL, one after the other."""
    while not trial.is_over():
        for what in ("worker", "pool process", "backend", "beat", "web", "backend", "redis"):
            stop_one(trial, what, seconds=seconds)
            if trial.is_over():
                return


def stop_one(trial: Trial, what: str, *, seconds: float) -> None:
    """Stop one process for some seconds, and wait until the campaign goes on."""
    stopped = _chosen(trial, what)
    _signal(stopped, signal.SIGSTOP)
    trial.happens(f"{what} stopped for {seconds:g} s")
    trial.pause(seconds)
    _signal(stopped, signal.SIGCONT)
    trial.wait_for_progress()


def _chosen(trial: Trial, what: str) -> list[psutil.Process]:
    system, worker = trial.system, f"worker{trial.rng.randrange(WORKERS)}"
    match what:
        case "worker":
            return system.family(worker)
        case "pool process":
            return [trial.rng.choice(system.family(worker)[1:])]
        case "backend":
            row = (
                system.observer()
                .execute(
                    """SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'
                          AND application_name <> 'observer' ORDER BY state = 'active' DESC, random() LIMIT 1"""
                )
                .fetchone()
            )
            with suppress(psutil.NoSuchProcess):
                return [psutil.Process(row[0])] if row else []
            return []
    return system.family(what)


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
