"""The pages below /accounts/. allauth refers to its pages by these names. Pages that iris does not offer are left out."""

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as recovery
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from allauth.usersessions import views as sessions
from django.urls import path, re_path

from accounts.signin import views

urlpatterns = [
    path("", views.home, name="signin-home"),
    path("login/", account.login, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path("reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
    path("email/send/", views.send_verification, name="signin-send-verification"),
    path("email/verify/<str:key>/", views.verify_email, name="signin-verify-email"),
    path("password/change/", account.password_change, name="account_change_password"),
    path("password/reset/", views.forgotten_password, name="account_reset_password"),
    path("password/reset/done/", account.password_reset_done, name="account_reset_password_done"),
    path(
        "password/reset/key/done/",
        account.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        account.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path("two-step/", mfa.index, name="mfa_index"),
    path("two-step/authenticate/", mfa.authenticate, name="mfa_authenticate"),
    path("two-step/reauthenticate/", mfa.reauthenticate, name="mfa_reauthenticate"),
    path("two-step/app/activate/", totp.activate_totp, name="mfa_activate_totp"),
    path("two-step/app/deactivate/", totp.deactivate_totp, name="mfa_deactivate_totp"),
    path("two-step/codes/", recovery.view_recovery_codes, name="mfa_view_recovery_codes"),
    path("two-step/codes/generate/", recovery.generate_recovery_codes, name="mfa_generate_recovery_codes"),
    path("two-step/keys/", webauthn.list_webauthn, name="mfa_list_webauthn"),
    path("two-step/keys/add/", webauthn.add_webauthn, name="mfa_add_webauthn"),
    path(
        "two-step/keys/reauthenticate/", webauthn.reauthenticate_webauthn, name="mfa_reauthenticate_webauthn"
    ),
    path("two-step/keys/<int:pk>/remove/", webauthn.remove_webauthn, name="mfa_remove_webauthn"),
    path("two-step/keys/login/", views.passkey_sign_in, name="mfa_login_webauthn"),
    path("sessions/", sessions.list_usersessions, name="usersessions_list"),
]
