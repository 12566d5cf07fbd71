"""OTPs in the v0 dialect."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.account import account_of
from accounts.api.permissions import needs
from accounts.api.throttles import OtpThrottle, UserThrottle
from accounts.permissions import Permission
from iris.api.envelope import success
from iris.api.views import V0View
from otp import services
from otp.api.retries import SENT_OTP
from otp.api.v0.serializers import NewOtp, otp_json


class SendOtp(V0View):
    throttle_classes = (UserThrottle, OtpThrottle)
    retries = SENT_OTP

    @needs(Permission.SEND)
    def post(self, request: Request) -> Response:
        serializer = NewOtp(data=request.data)
        serializer.is_valid(raise_exception=True)
        otp = services.send_otp(account=account_of(request), **serializer.validated_data)
        shown = otp_json(otp, message=serializer.validated_data["message"])
        return success({"details": shown}, message="OTP Sent Successfully.")
