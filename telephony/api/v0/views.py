"""Phone numbers and voice trials in the v0 dialect."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.account import account_of
from accounts.api.permissions import needs
from accounts.api.throttles import TrialThrottle, UserThrottle
from accounts.permissions import Permission
from iris.api import idempotency
from iris.api.envelope import success
from iris.api.views import V0View
from iris.api.viewsets import V0ViewSet
from telephony import phone_numbers, speech
from telephony.api.filters import PhoneNumberFilter
from telephony.api.v0.serializers import ChosenNumber, VoiceSample, phone_number_json
from telephony.media import audio_url
from telephony.models import PhoneNumber
from telephony.speech import trials


class PhoneNumberViewSet(V0ViewSet):
    """List the numbers for sale and the account's own; buy and release a number."""

    filterset_class = PhoneNumberFilter

    @needs(Permission.VIEW)
    def list(self, request: Request) -> Response:
        free = self.filter_queryset(PhoneNumber.objects.for_sale_to(account_of(request)).order_by("id"))
        return success(
            {"number_lists": [phone_number_json(number) for number in free]},
            message="Number Lists Retrived Successfully!!",  # sic
        )

    @needs(Permission.VIEW)
    def owned(self, request: Request) -> Response:
        owned = self.filter_queryset(PhoneNumber.objects.filter(owner=account_of(request)).order_by("id"))
        return success({"owned_numbers": [phone_number_json(number) for number in owned]})

    @needs(Permission.MANAGE_CREDITS)
    def buy(self, request: Request) -> Response:
        number = phone_numbers.buy_number(account=account_of(request), sid=_chosen(request))
        return success(
            {"number_details": [phone_number_json(number)]},
            message=f"{number.number} number bought successfully!!",
        )

    @needs(Permission.MANAGE_CREDITS)
    def release(self, request: Request) -> Response:
        number = phone_numbers.release_number(account=account_of(request), sid=_chosen(request))
        # The documented response has status 204 and a body, which HTTP forbids, so the HTTP status is 200.
        return success(message=f"{number.number} number released successfully!!", status=204, http_status=200)


class TestVoice(V0View):
    throttle_classes = (UserThrottle, TrialThrottle)
    retries = idempotency.HARMLESS  # an error must not undo what was counted against the daily quota

    @needs(Permission.PREPARE)
    def post(self, request: Request) -> Response:
        sample = VoiceSample(data=request.data)
        sample.is_valid(raise_exception=True)
        voice = speech.resolve(sample.validated_data.get("voice_input"))
        audio = trials.speak(account=account_of(request), text=sample.validated_data["message"], voice=voice)
        return success(
            {"audio_url": audio_url(audio, request), "voice_input": voice, "duration": round(audio.seconds)}
        )


def _chosen(request: Request) -> str:
    """Return the `phone_sid` of the body, or of the query string: many HTTP libraries send no body with DELETE."""
    chosen = ChosenNumber(data=request.data if "phone_sid" in request.data else request.query_params)
    chosen.is_valid(raise_exception=True)
    return str(chosen.validated_data["phone_sid"]).lower()
