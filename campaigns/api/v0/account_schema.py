"""The operations of templates, departments and the statement in v0, for the schema."""

from __future__ import annotations

from campaigns.api.v0 import departments, statement, text_templates
from campaigns.api.v0 import shapes as shown
from iris.api.openapi.operations import V0_PAGES, Area, Operation
from iris.api.openapi.shapes import INT, V0_PAGINATION, enveloped, file

TEMPLATES = Area(
    "v0 templates",
    "Messages that campaigns copy. Each change makes a version.",
    {
        "GET v0-templates": Operation(
            id="v0_list_templates",
            summary="List the templates, newest first",
            filters=text_templates.TemplateFilter,
            pages=V0_PAGES,
            answers={200: enveloped({"pagination": V0_PAGINATION, "templates": [shown.TEMPLATE]})},
        ),
        "POST v0-templates": Operation(
            id="v0_create_template",
            summary="Create a template",
            body=text_templates.NewTemplate,
            answers={201: enveloped({"template": shown.TEMPLATE})},
            refuses=(409,),
        ),
        "GET v0-template": Operation(
            id="v0_get_template",
            summary="Show a template",
            answers={200: enveloped({"template": shown.TEMPLATE})},
        ),
        "PATCH v0-template": Operation(
            id="v0_update_template",
            summary="Change a template",
            body=text_templates.TemplateChanges,
            answers={200: enveloped({"template": shown.TEMPLATE})},
            refuses=(409,),
        ),
        "DELETE v0-template": Operation(
            id="v0_delete_template",
            summary="Delete a template",
            about="Campaigns that have used it keep their words.",
            answers={200: enveloped()},
        ),
        "GET v0-template-versions": Operation(
            id="v0_list_template_versions",
            summary="List the versions of a template, newest first",
            pages=V0_PAGES,
            answers={200: enveloped({"pagination": V0_PAGINATION, "versions": [shown.TEMPLATE_VERSION]})},
        ),
        "POST v0-campaign-template": Operation(
            id="v0_use_template",
            summary="Replace the words of a campaign by those of a template",
            body=text_templates.ChosenTemplate,
            answers={200: enveloped({"campaign": INT, "template": INT, "version": INT})},
            refuses=(409,),
        ),
    },
)

DEPARTMENTS = Area(
    "v0 departments and credits",
    "Departments with their own budgets, and the statement of an account's credits.",
    {
        "GET v0-departments": Operation(
            id="v0_list_departments",
            summary="List the departments with their figures",
            pages=V0_PAGES,
            answers={
                200: enveloped(
                    {
                        "pagination": V0_PAGINATION,
                        "departments": [shown.DEPARTMENT],
                        "total": shown.FIGURES,
                    }
                )
            },
        ),
        "POST v0-departments": Operation(
            id="v0_create_department",
            summary="Create a department",
            body=departments.DepartmentName,
            answers={201: enveloped({"department": shown.DEPARTMENT})},
            refuses=(409,),
        ),
        "PATCH v0-department": Operation(
            id="v0_rename_department",
            summary="Rename a department",
            body=departments.DepartmentName,
            answers={200: enveloped({"department": shown.DEPARTMENT})},
            refuses=(409,),
        ),
        "POST v0-department-transfer": Operation(
            id="v0_transfer_credits",
            summary="Move credits between the account and a department",
            body=departments.NewTransfer,
            answers={201: enveloped(shown.TRANSFER)},
            refuses=(402, 409),
        ),
        "GET v0-statement": Operation(
            id="v0_get_statement",
            summary="Show what was booked for the account",
            query=statement.Period,
            answers={
                200: {"application/json": enveloped({"statement": shown.STATEMENT}), **file("text/csv")}
            },
        ),
    },
)
