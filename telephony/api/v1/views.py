"""Phone numbers and voices in the v1 dialect. Lists have no envelope, because clients expect plain arrays."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.account import account_of
from accounts.api.permissions import needs
from accounts.permissions import Permission
from iris.api.views import V1View
from iris.api.viewsets import V1ViewSet
from iris.errors import NotFound
from telephony import numbering, phone_numbers, speech
from telephony.api.filters import PhoneNumberFilter
from telephony.api.v1.voices import voice_json
from telephony.models import PhoneNumber


class PhoneNumberViewSet(V1ViewSet):
    """List and release the account's own numbers."""

    filterset_class = PhoneNumberFilter

    @needs(Permission.VIEW)
    def list(self, request: Request) -> Response:
        owned = self.filter_queryset(PhoneNumber.objects.filter(owner=account_of(request)).order_by("pk"))
        return Response(
            [
                {"id": number.pk, "phone_number": numbering.to_e164(number.number) or number.number}
                for number in owned
            ]
        )

    @needs(Permission.MANAGE_CREDITS)
    def release(self, request: Request, phone_id: int) -> Response:
        account = account_of(request)
        number = PhoneNumber.objects.filter(owner=account, pk=phone_id).first()
        if number is None:
            raise NotFound(
                "You have no phone number with this id. The list of your phone numbers has their ids.",
                code="no_such_phone_number",
            )
        phone_numbers.release_number(account=account, sid=number.sid)
        return Response({"message": f"{number.number} is released."})


class Voices(V1View):
    @needs(Permission.VIEW)
    def get(self, request: Request) -> Response:
        return Response([voice_json(voice) for voice in speech.catalogue().values()])
