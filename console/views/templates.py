"""Templates: messages that are written once. Each change makes a new version, and the old ones can be read."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import Permission
from campaigns import text_templates
from campaigns.models import Campaign, TextTemplate
from console.access import page
from console.errors import sentence_of
from console.forms import TemplateForm
from console.paging import page_of
from console.render import render_page
from console.views.steps import BOTH
from console.visits import ConsoleRequest
from iris.errors import IrisError

SHOWN_VERSIONS = 20


@page(Permission.VIEW)
def index(request: ConsoleRequest) -> HttpResponse:
    """List the templates, newest first. `before` is the id at which a page begins."""
    before = request.GET.get("before", "")
    rows = TextTemplate.objects.owned_by(request.visit.account).order_by("-pk")
    shown, more = page_of(rows, before)
    latest = text_templates.latest_versions(shown)
    context = {
        "templates": [(one, latest[one.pk]) for one in shown],
        "before": more,
        "is_later_page": bool(before),
    }
    return render_page(request, "console/templates.html", context)


@page(Permission.PREPARE, methods=BOTH)
def new(request: ConsoleRequest) -> HttpResponse:
    form = TemplateForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = text_templates.create_template(account=request.visit.account, **form.cleaned_data)
        except IrisError as error:
            form.add_error("message", sentence_of(error))
        else:
            messages.success(request, _("The template is saved."))
            return redirect("console:template", request.visit.account.pk, made.pk)
    return render_page(request, "console/template_edit.html", {"form": form, "template": None})


@page(Permission.VIEW)
def show(request: ConsoleRequest, template_id: int) -> HttpResponse:
    """Show the words of a template, its older versions, and how many campaigns have got each."""
    template = _template_of(request, template_id)
    versions = list(template.versions.order_by("-number")[:SHOWN_VERSIONS])
    uses = Campaign.objects.owned_by(request.visit.account).filter(text_version__in=versions)
    counts: dict[int, int] = {}
    for version_id in uses.values_list("text_version", flat=True)[:1_000]:
        counts[version_id or 0] = counts.get(version_id or 0, 0) + 1
    authors = User.objects.in_bulk({one.author for one in versions if one.author})
    listed: list[dict[str, Any]] = [
        {"version": one, "author": authors.get(one.author or 0), "uses": counts.get(one.pk, 0)}
        for one in versions
    ]
    context = {"template": template, "latest": listed[0], "older": listed[1:]}
    return render_page(request, "console/template.html", context)


@page(Permission.PREPARE, methods=BOTH)
def change(request: ConsoleRequest, template_id: int) -> HttpResponse:
    """Change a template. Changed words become a new version."""
    template = _template_of(request, template_id)
    latest = text_templates.find_version(template)
    stored = {"name": template.name} | {field: getattr(latest, field) for field in text_templates.WORDS}
    form = TemplateForm(request.POST or None, initial=stored)
    if request.method == "POST" and form.is_valid():
        try:
            changed = text_templates.update_template(template=template, **form.cleaned_data)
        except IrisError as error:
            form.add_error("message", sentence_of(error))
        else:
            if changed.latest > template.latest:
                messages.success(request, _("The changed words are saved as a new version."))
            return redirect("console:template", request.visit.account.pk, template.pk)
    return render_page(request, "console/template_edit.html", {"form": form, "template": template})


@page(Permission.PREPARE, methods=BOTH)
def delete(request: ConsoleRequest, template_id: int) -> HttpResponse:
    """Ask once more, and delete a template."""
    template = _template_of(request, template_id)
    if request.method != "POST":
        return render_page(request, "console/template_delete.html", {"template": template})
    text_templates.delete_template(template=template)
    messages.success(request, _("The template “%(name)s” is deleted.") % {"name": template.name})
    return redirect("console:templates", request.visit.account.pk)


def _template_of(request: ConsoleRequest, template_id: int) -> TextTemplate:
    return text_templates.find_template(account=request.visit.account, pk=template_id)
