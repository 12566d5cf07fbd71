"""OTPs in the v1 dialect. The documented responses still have v0's envelope."""

from __future__ import annotations

from typing import Any, cast

from django.db.models import QuerySet
from rest_framework.decorators import throttle_classes
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.account import account_of
from accounts.api.permissions import needs
from accounts.api.throttles import OtpThrottle, UserThrottle
from accounts.permissions import Permission
from iris.api.envelope import success
from iris.api.fields import validated
from iris.api.pagination import paginate_in_v1
from iris.api.viewsets import V1ViewSet, retries
from otp import services
from otp.api.retries import SENT_OTP
from otp.api.v1.filters import OtpFilter
from otp.api.v1.serializers import NewOtp, otp_json, sent_json
from otp.models import Otp
from telephony.models import Channel


class OtpViewSet(V1ViewSet):
    filterset_class = OtpFilter

    def get_queryset(self) -> QuerySet[Otp]:
        return Otp.objects.owned_by(account_of(self.request)).order_by("-pk")

    @needs(Permission.SEND)
    def list(self, request: Request) -> Response:
        """Return a page of OTPs. The page contains an envelope without a message, as documented."""
        page = paginate_in_v1(request, self.filter_queryset(self.get_queryset()))
        shown = [otp_json(otp) for otp in page.items]
        return Response(page.around({"status": 200, "success": True, "errors": [], "data": shown}))

    @retries(SENT_OTP)
    @throttle_classes([UserThrottle, OtpThrottle])
    @needs(Permission.SEND)
    def send(self, request: Request) -> Response:
        fields = validated(NewOtp(data=request.data))
        account = account_of(request)
        otp = services.send_otp(account=account, **fields)
        account.refresh_from_db(fields=["balance"])
        company = str(cast(Any, request.data).get("company_name") or "").strip()
        called = otp.channel == Channel.CALL
        return success(
            {"details": sent_json(otp, account=account, company=company)},
            message="OTP Call Initiated Successfully." if called else "OTP Sent Successfully.",
        )
