"""The figures of a campaign during which processes were killed: deliveries by outcome, and the ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.chaos.system import System

# The expected outcome for each last four digits, by the sandbox's table.
EXPECTED = {
    "9901": "unanswered",
    "9902": "unanswered",
    "9903": "hungup",
    "9904": "failed",
    "9905": "failed",
}


# How often each is called, by the rule of retries (tests/chaos/kills.py). All others are called once.
TRIES = {"9901": 3, "9902": 3, "9903": 3}


@dataclass
class Figures:
    recipients: int
    pace: int  # calls per second of the trunk; slow enough that the kills happen during the run
    seconds: float = 0.0
    kills: int = 0
    redis_restarts: int = 0
    postgres_restarts: int = 0
    drills: dict[str, int] = field(
        default_factory=dict
    )  # the drills, with the number of 503s that each caused
    deliveries: int = 0
    fullest_second: int = 0
    unfinished: int = 0
    duplicates: int = 0
    lost: int = 0
    wrong: int = 0
    miscounted: int = 0  # recipients with too many or too few tries
    ledger: str = ""
    faults: list[str] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        return not (
            self.unfinished or self.duplicates or self.lost or self.wrong or self.miscounted or self.faults
        ) and ("difference 0" in self.ledger)

    def __str__(self) -> str:
        return (
            f"{self.recipients} recipients in {self.seconds:.0f} s at {self.pace}/s, {self.fullest_second} in the fullest"
            f" second · {self.kills} processes killed, Redis restarted {self.redis_restarts} times,"
            f" PostgreSQL {self.postgres_restarts}; drills and the requests that were told to come again:"
            f" {', '.join(f'{name} {count}' for name, count in self.drills.items())}\n"
            f"deliveries {self.deliveries} · unfinished {self.unfinished} · duplicates {self.duplicates}"
            f" · lost {self.lost} · wrong status {self.wrong} · wrong number of tries {self.miscounted}\n{self.ledger}"
            + "".join(f"\n{f}" for f in self.faults)
        )


def count(system: System, figures: Figures) -> None:
    figures.deliveries = system.query("SELECT count(*) FROM telephony_delivery")
    figures.unfinished = system.query("SELECT count(*) FROM telephony_delivery WHERE status < 100")
    figures.duplicates = system.query(
        "SELECT count(*) FROM (SELECT FROM telephony_sandboxmessage GROUP BY delivery_key HAVING count(*) > 1) doubled"
    )
    figures.lost = system.query(
        """SELECT count(*) FROM campaigns_recipient r LEFT JOIN telephony_delivery d ON d.item = r.id
            LEFT JOIN telephony_sandboxmessage m ON m.delivery_key = d.id::text
            WHERE m.id IS NULL AND right(r."to", 4) <> '9904'"""
    )
    expected = " ".join(f"WHEN '{digits}' THEN '{word}'" for digits, word in EXPECTED.items())
    figures.wrong = system.query(
        f"""SELECT count(*) FROM campaigns_recipient
             WHERE CASE right("to", 4) {expected} ELSE 'completed' END IS DISTINCT FROM
                   CASE status WHEN 100 THEN 'completed' WHEN 101 THEN 'hungup' WHEN 102 THEN 'unanswered'
                               WHEN 103 THEN 'failed' END"""
    )
    tries = " ".join(f"WHEN '{digits}' THEN {count}" for digits, count in TRIES.items())
    figures.miscounted = system.query(
        f"""SELECT count(*) FROM (
                SELECT count(d.id) AS tries, r.attempts, CASE right(r."to", 4) {tries} ELSE 1 END AS expected
                  FROM campaigns_recipient r LEFT JOIN telephony_delivery d ON d.item = r.id GROUP BY r.id) counted
             WHERE tries <> expected OR attempts IS DISTINCT FROM expected"""
    )
    figures.fullest_second = system.query(
        """SELECT max(count) FROM (
               SELECT count(*) OVER (ORDER BY created_at RANGE BETWEEN CURRENT ROW AND '0.999 s' FOLLOWING)
                 FROM telephony_sandboxmessage) AS seconds"""
    )
    figures.ledger = system.manage("check_ledger", check=False)
