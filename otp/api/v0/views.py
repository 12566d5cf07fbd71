"""OTPs in the v0 dialect."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.throttles import OtpThrottle, UserThrottle
from iris.dialects import V0View
from iris.envelope import success
from otp import services
from otp.api.v0.serializers import NewOtp, otp_json
from telephony.api.account import account_of


class SendOtp(V0View):
    throttle_classes = (UserThrottle, OtpThrottle)

    def post(self, request: Request) -> Response:
        wanted = NewOtp(data=request.data)
        wanted.is_valid(raise_exception=True)
        otp = services.send_otp(owner=account_of(request), **wanted.validated_data)
        shown = otp_json(otp, message=wanted.validated_data["message"])
        return success({"details": shown}, message="OTP Sent Successfully.")
