"""Export what campaigns store about a person: recipients with their tags and survey responses."""

from __future__ import annotations

from typing import Any

from accounts.people.persons import Person
from accounts.people.registry import ExportedStep
from campaigns.models import Answer, Recipient, SurveyAnswer
from campaigns.people.erasing import found_in, next_campaigns


def export_next(person: Person, *, after: int, most: int) -> ExportedStep | None:
    """Return the person's recipients in the next campaigns after the id `after`, or None if there are no more."""
    campaigns = next_campaigns(person, after=after)
    if not campaigns:
        return None
    own, _ = found_in(person, campaigns)
    rows = Recipient.objects.select_related("campaign").in_bulk([pk for pk, _ in own[:most]])
    answers: dict[int, list[dict[str, Any]]] = {}
    given = (
        SurveyAnswer.objects.filter(recipient__in=list(rows)).select_related("step", "audio").order_by("pk")
    )
    for answer in given:
        answers.setdefault(answer.recipient_id, []).append(
            {
                "question": answer.step.text or answer.step.input_name,
                "answer": None if answer.step.answer == Answer.SPEECH else answer.text,
                "recording": answer.audio.name if answer.audio else None,
                "answered_at": answer.answered_at.isoformat(),
            }
        )
    recipients = [
        {
            "id": row.pk,
            "campaign": {"id": row.campaign_id, "name": row.campaign.name},
            "number": row.number,
            "tags": row.tags,
            "status": None if row.status is None else row.get_status_display(),
            "left_out": row.left_out or None,
            "credits": f"{row.credits:f}",
            "answers": answers.get(row.pk, []),
        }
        for row in rows.values()
    ]
    return ExportedStep(campaigns[-1], {"recipients": recipients})
