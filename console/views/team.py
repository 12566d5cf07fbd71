"""The people of an account: who may do what, invitations, and leaving."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import members
from accounts.models import Member
from accounts.permissions import AccountKind, Permission
from console.access import page
from console.errors import sentence_of
from console.render import render_page
from console.visits import ConsoleRequest
from console.words_of_people import CUSTOM, PRESETS
from iris.errors import IrisError

LIVE = AccountKind.LIVE
CHOICES = [(name, title) for name, (title, _meaning) in PRESETS.items()]


class InvitationForm(forms.Form):
    email = forms.EmailField(label=gettext_lazy("E-mail address"), max_length=254)
    preset = forms.ChoiceField(label=gettext_lazy("What this person may do"), choices=CHOICES)


@page(Permission.MANAGE_ACCOUNT, only=LIVE, methods=("GET", "HEAD", "POST"))
def team(request: ConsoleRequest) -> HttpResponse:
    """List the members, and add a person."""
    visit = request.visit
    form = InvitationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        is_owner, permissions = members.parse_preset(form.cleaned_data["preset"])
        try:
            member = members.add(
                account=visit.account,
                email=form.cleaned_data["email"],
                is_owner=is_owner,
                permissions=permissions,
                by=visit.actor,
            )
        except IrisError as error:
            form.add_error("email", sentence_of(error))
        else:
            messages.success(request, _added(member))
            return redirect("console:team", visit.account.pk)
    people = Member.objects.filter(account=visit.account).select_related("user")
    context = {
        "form": form,
        "people": [(member, *PRESETS.get(member.preset, (CUSTOM, ""))) for member in people],
        "presets": [(name, title, meaning) for name, (title, meaning) in PRESETS.items()],
    }
    return render_page(request, "console/team.html", context)


@page(Permission.MANAGE_ACCOUNT, only=LIVE, methods=("POST",))
def change(request: ConsoleRequest, member_id: int) -> HttpResponse:
    visit = request.visit
    is_owner, permissions = members.parse_preset(request.POST.get("preset", ""))
    member = members.change(
        account=visit.account, member_id=member_id, is_owner=is_owner, permissions=permissions, by=visit.actor
    )
    messages.success(request, _("The permissions of %(email)s are changed.") % {"email": member.user.email})
    return redirect("console:team", visit.account.pk)


@page(Permission.VIEW, only=LIVE, methods=("GET", "HEAD", "POST"))
def remove(request: ConsoleRequest, member_id: int) -> HttpResponse:
    """Ask once more, and remove a member. Everybody may leave."""
    visit = request.visit
    member = members.find(account=visit.account, member_id=member_id)
    visit.actor.check_may_change(member)
    if request.method != "POST":
        context = {"member": member, "is_oneself": member.user_id == visit.user.pk}
        return render_page(request, "console/team_remove.html", context)
    members.remove(account=visit.account, member_id=member_id, by=visit.actor)
    messages.success(request, _("%(email)s is no longer a member.") % {"email": member.user.email})
    return redirect(
        "console:start" if member.user_id == visit.user.pk else "console:team", *_of(request, member)
    )


def _of(request: ConsoleRequest, member: Member) -> list[int]:
    return [] if member.user_id == request.visit.user.pk else [request.visit.account.pk]


def _added(member: Member) -> str:
    email = {"email": member.user.email}
    if member.invited:
        return _("%(email)s is a member now, and gets an e-mail with a link to set a password.") % email
    if not member.user.has_usable_password():
        return _("%(email)s is a member now. The operator of this server sets a password.") % email
    return _("%(email)s is a member now.") % email
