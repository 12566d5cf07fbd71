from campaigns.api.v1 import contacts, reports, surveys, templates, views
from iris.api.views import both

# Ids are any segment, and those of campaigns and of contacts stand in the same place: the rest of the path decides.
urlpatterns = [
    *both("campaign", views.Campaigns.as_view(), name="v1-campaigns"),
    *both("campaign/create", views.Create.as_view(), name="v1-campaign-create"),
    *both("campaign/create/<id:campaign_id>/message", views.Message.as_view(), name="v1-campaign-message"),
    *both("campaign/create/<id:campaign_id>/detail", contacts.AddSheet.as_view(), name="v1-campaign-sheet"),
    *both("campaign/create/<id:campaign_id>/survey", surveys.SurveySteps.as_view(), name="v1-survey-steps"),
    *both("campaign/emergency-stop/<id:campaign_id>", views.Stop.as_view(), name="v1-campaign-stop"),
    *both("campaign/<id:campaign_id>", views.Detail.as_view(), name="v1-campaign"),
    *both("campaign/<id:campaign_id>/add-contact", contacts.AddContact.as_view(), name="v1-contact-add"),
    *both("campaign/<id:campaign_id>/contacts", contacts.Contacts.as_view(), name="v1-contacts-before"),
    *both("campaign/<id:contact_id>/attributes", contacts.Attributes.as_view(), name="v1-attributes"),
    *both("campaign-detail/<id:campaign_id>", contacts.Contacts.as_view(), name="v1-contacts"),
    *both("phone-number/update/<id:contact_id>", contacts.UpdateContact.as_view(), name="v1-contact-update"),
    *both("phone-number/delete/<id:contact_id>", contacts.DeleteContact.as_view(), name="v1-contact-delete"),
    *both("run-campaign/<id:campaign_id>", views.Run.as_view(), name="v1-campaign-run"),
    *both("demo-call/<id:contact_id>", views.DemoCall.as_view(), name="v1-demo-call"),
    *both("test-speak/riri/<id:campaign_id>", views.TestSpeak.as_view(), name="v1-test-speak"),
    *both("download/report/<id:campaign_id>", reports.Report.as_view(), name="v1-report"),
    *both("run-survey/<id:campaign_id>", surveys.RunSurvey.as_view(), name="v1-survey-run"),
    *both("test-survey/<id:contact_id>", surveys.TestSurvey.as_view(), name="v1-survey-test"),
    *both("download/survey/<id:survey_id>/report", surveys.SurveyReport.as_view(), name="v1-survey-report"),
    *both("survey-templates", templates.Templates.as_view(), name="v1-survey-templates"),
    *both("survey-templates/<id:template_id>", templates.Template.as_view(), name="v1-survey-template"),
    *both(
        "survey-templates/<id:template_id>/apply-to-campaign",
        templates.ApplyTemplate.as_view(),
        name="v1-survey-template-apply",
    ),
    *both("dashboard", reports.DashboardView.as_view(), name="v1-dashboard"),
]
