"""Opt out the recipients who pressed the key for it during a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db import connection

from telephony.call_scripts import OPT_OUT_KEY, SurveyResponse, opts_out
from telephony.models import OptOutWay
from telephony.optouts.lists import NewOptOut, add


def apply(given: Sequence[tuple[int, datetime, Sequence[SurveyResponse]]]) -> None:
    """Opt out the recipients who pressed the key. Call it in the transaction that applies the reports.

    `given` has the delivery's id, the time and the responses of each report. Reports repeat the earlier responses of
    a call, so the first report with the key counts.
    """
    pressed: Mapping[int, datetime] = {
        pk: at for pk, at, responses in reversed(given) if any(map(opts_out, responses))
    }
    if not pressed:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT id, owner_id, "to", purpose, batch FROM telephony_delivery WHERE id = ANY(%s) AND "to" <> ''""",
            [sorted(pressed)],
        )
        calls = cursor.fetchall()
    add(
        NewOptOut(
            owner_id=owner,
            number=number,
            way=OptOutWay.KEY,
            source=f"Pressed {OPT_OUT_KEY}",
            evidence={"delivery": pk, purpose: batch, "pressed_at": pressed[pk].isoformat()},
        )
        for pk, owner, number, purpose, batch in calls
    )
