from typing import Any

from rest_framework import serializers

from accounts.models import User


class LoginSerializer(serializers.Serializer[Any]):
    email = serializers.CharField(
        max_length=254,
        error_messages={
            "required": "Send the e-mail address of the account.",
            "blank": "Send the e-mail address of the account.",
            "null": "Send the e-mail address of the account.",
        },
    )
    password = serializers.CharField(
        # Limits the work of hashing: a client can send a very long password cheaply, but this server must hash it.
        max_length=1024,
        trim_whitespace=False,
        error_messages={
            "required": "Send the password of the account.",
            "blank": "Send the password of the account.",
            "null": "Send the password of the account.",
        },
    )
    account = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=2**63 - 1,
        error_messages={"invalid": "Send the id of an account, or leave it out."},
    )


class RefreshSerializer(serializers.Serializer[Any]):
    refresh = serializers.CharField(
        error_messages={
            "required": "Send the refresh token that the login gave.",
            "blank": "Send the refresh token that the login gave.",
            "null": "Send the refresh token that the login gave.",
        },
    )


class LogoutSerializer(serializers.Serializer[Any]):
    everywhere = serializers.BooleanField(required=False)
    refresh = serializers.CharField(required=False)

    def to_internal_value(self, data: Any) -> Any:
        """Treat null and empty text as an omitted field, as all endpoints do."""
        return super().to_internal_value(
            {key: value for key, value in data.items() if value not in (None, "")}
        )


class UserDataSerializer(serializers.ModelSerializer[User]):
    """The person in the response of a login."""

    class Meta:
        model = User
        fields = ("first_name", "last_name", "email")


class UserDetailsSerializer(serializers.ModelSerializer[User]):
    class Meta:
        model = User
        fields = (
            "first_name",
            "last_name",
            "email",
            "username",
            "is_verified_email",
            "contact_number",
            "is_verified_phone",
            "address",
        )
