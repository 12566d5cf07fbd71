"""Render pages with what all of them have: the account, the navigation and the other accounts of the person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts import members
from accounts.models import User
from console.navigation import entries, operator_entries
from console.visits import ConsoleRequest, Visit


def render_page(
    request: HttpRequest, template: str, context: Mapping[str, Any] | None = None, *, status: int = 200
) -> HttpResponse:
    """Render a whole page. Takes at most two queries for the list of accounts, however many there are."""
    visit: Visit | None = getattr(request, "visit", None)
    shared: dict[str, Any] = {"visit": visit, "here": request.get_full_path()}
    if visit is not None:
        shared |= {"account": visit.account, "navigation": entries(visit, request.path)}
    if request.user.is_authenticated:
        shared["accounts"] = members.accounts_of(user=request.user)
    return render(request, template, {**shared, **(context or {})}, status=status)


def render_operator_page(request: HttpRequest, template: str, context: Mapping[str, Any]) -> HttpResponse:
    """Render a page of the operator area, or a live part of one."""
    user = cast(User, request.user)
    shared = {
        "here": request.get_full_path(),
        "navigation": operator_entries(user, request.path),
        "accounts": members.accounts_of(user=user),
        "is_operator_area": True,
    }
    return render(request, template, {**shared, **context})


def render_part(
    request: ConsoleRequest, template: str, context: Mapping[str, Any], *, status: int = 200
) -> HttpResponse:
    """Render a part of a page, which htmx puts in the place of the old one."""
    shared = {"visit": request.visit, "account": request.visit.account}
    return render(request, template, {**shared, **context}, status=status)
