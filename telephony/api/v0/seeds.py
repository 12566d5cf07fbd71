"""Seed numbers of an account, and what arrived at them. TingTing's API has none; this is an addition of iris."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.utils import timezone
from rest_framework import serializers
from rest_framework.fields import empty
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.account import account_of
from accounts.api.permissions import needs
from accounts.api.v0.setting_fields import Flag
from accounts.permissions import Permission
from iris.api.envelope import success
from iris.api.fields import validated
from iris.api.lists import Many
from iris.api.pagination import paginate
from iris.api.viewsets import V0ViewSet
from iris.errors import InvalidInput
from telephony.api.fields import AnyNumber
from telephony.models import Delivery, SeedSms
from telephony.seeds import numbers as seeds


class Numbers(Many):
    """A list of phone numbers, which may be empty."""

    json_schema: dict[str, Any] = {
        "type": "array",
        "items": AnyNumber.json_schema,
        "maxItems": seeds.MAX_NUMBERS,
    }
    most = 100
    advice = f"An account can have {seeds.MAX_NUMBERS} seed numbers."

    def to_internal_value(self, data: Any) -> list[Any]:
        return [] if data in ([], "[]") else super().to_internal_value(data)


class Arrived(Flag):
    """True or false. Null is an omitted field, because nobody may be understood to miss an SMS by mistake."""

    json_schema: dict[str, Any] = {"type": "boolean"}

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        return empty if dictionary.get(self.field_name) is None else super().get_value(dictionary)


class NewNumbers(serializers.Serializer[Any]):
    seed_numbers = Numbers()


class Told(serializers.Serializer[Any]):
    arrived = Arrived()


class SeedViewSet(V0ViewSet):
    @needs(Permission.VIEW)
    def retrieve(self, request: Request) -> Response:
        return success(_numbers_json(seeds.numbers_of(account_of(request).pk)))

    @needs(Permission.MANAGE_ACCOUNT)
    def update(self, request: Request) -> Response:
        sent = validated(NewNumbers(data=request.data))["seed_numbers"]
        chosen = seeds.set_numbers(account=account_of(request), numbers=sent)
        return success(_numbers_json(chosen), message="Seed numbers stored.")

    @needs(Permission.VIEW)
    def results(self, request: Request) -> Response:
        """List the SMS to seed numbers, the newest first."""
        page = paginate(request, seeds.sent_to_seeds(account_of(request)))
        return success({"pagination": page.pagination, "results": _results_json(page.items)})

    @needs(Permission.PREPARE)
    def tell(self, request: Request, delivery_id: int) -> Response:
        """Store whether an SMS has arrived."""
        account = account_of(request)
        seeds.refuse_unknown(account=account, delivery_id=delivery_id)
        told = validated(Told(data=request.data))
        if "arrived" not in told:
            raise InvalidInput(
                "arrived: Send true if the SMS has arrived, and false if it is missing.",
                errors=[{"field": "arrived", "message": "This field is missing: it must be true or false."}],
            )
        row = seeds.tell(account=account, delivery_id=delivery_id, arrived=told["arrived"])
        (shown,) = _results_json([row])
        return success({"result": shown})


def _numbers_json(numbers: Sequence[str]) -> dict[str, Any]:
    return {"seed_numbers": list(numbers), "runs_above": settings.IRIS_SEEDS_ABOVE}


def _results_json(rows: Sequence[SeedSms]) -> list[dict[str, Any]]:
    """Return the SMS of a page. The values of deliveries that are no longer kept are null."""
    found = Delivery.objects.in_bulk([row.delivery for row in rows])
    return [_result_json(row, found.get(row.delivery)) for row in rows]


def _result_json(row: SeedSms, delivery: Delivery | None) -> dict[str, Any]:
    return {
        "id": row.delivery,
        "run": delivery.batch if delivery else None,
        "number": delivery.to if delivery else None,
        "status": delivery.get_status_display().lower() if delivery else None,
        "sent_at": _shown(delivery.submitted_at) if delivery else None,
        "reported_at": _shown(delivery.delivered_at) if delivery else None,
        "arrived": row.arrived,
        "told_at": _shown(row.told_at),
    }


def _shown(moment: Any) -> str | None:
    return None if moment is None else timezone.localtime(moment).isoformat()
