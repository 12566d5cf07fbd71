"""What arrived at seed numbers, by trunk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from telephony.models.statuses import COMPLETED, FAILED, SUBMITTED, UNANSWERED

NEWEST = 10_000  # only so many of the newest seed SMS are counted


@dataclass(frozen=True, slots=True)
class SeedFigures:
    """The SMS of a trunk to seed numbers.

    `reported` are those that the carrier reported as delivered. `arrived` and `missing` count what people told iris.
    """

    trunk: str
    accepted: int
    reported: int
    arrived: int
    missing: int
    reported_but_missing: int

    def __str__(self) -> str:
        text = (
            f"{self.trunk} accepted {self.accepted} SMS to seed numbers and reported {self.reported} as delivered; "
            f"{self.arrived} were seen to arrive, {self.missing} are missing"
        )
        return text + (
            f", of which {self.reported_but_missing} were reported as delivered"
            if self.reported_but_missing
            else ""
        )


def figures(*, since: datetime, trunk: str = "") -> list[SeedFigures]:
    """Return the figures of the SMS to seed numbers that were queued since this time, by trunk."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT t.alias, count(*), count(*) FILTER (WHERE reported), count(*) FILTER (WHERE arrived),
                       count(*) FILTER (WHERE NOT arrived), count(*) FILTER (WHERE reported AND NOT arrived)
                  FROM (SELECT d.trunk_id, s.arrived, d.status = {COMPLETED} AND d.delivered_at IS NOT NULL AS reported
                          FROM (SELECT * FROM telephony_seedsms WHERE created_at >= %s
                                 ORDER BY created_at DESC LIMIT {NEWEST}) s
                          JOIN telephony_delivery d ON d.id = s.delivery
                         WHERE d.status BETWEEN {SUBMITTED} AND {UNANSWERED}
                            OR (d.status = {FAILED} AND d.ref <> '')) sent
                  JOIN telephony_trunk t ON t.id = sent.trunk_id
                 WHERE %s = '' OR t.alias = %s GROUP BY 1 ORDER BY 1""",
            [since, trunk, trunk],
        )
        return [SeedFigures(*row) for row in cursor.fetchall()]
