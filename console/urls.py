"""The pages of the console. Each is below the account that it shows; `/` leads to the one that the person saw last."""

from django.urls import URLPattern, URLResolver, include, path

from console.views import (
    audit,
    campaign,
    campaigns,
    credits,
    home,
    inbox,
    keys,
    messages,
    numbers,
    operator,
    opt_outs,
    otps,
    people,
    recipients,
    reports,
    settings,
    steps,
    team,
)

app_name = "console"

of_campaign: list[URLPattern | URLResolver] = [
    path("", campaign.show, name="campaign"),
    path("live/", campaign.live, name="campaign-live"),
    path("pause/", campaign.pause, name="campaign-pause"),
    path("resume/", campaign.resume, name="campaign-resume"),
    path("stop/", campaign.stop, name="campaign-stop"),
    path("again/", campaign.again, name="campaign-again"),
    path("approve/", campaign.approve, name="campaign-approve"),
    path("reject/", campaign.reject, name="campaign-reject"),
    path("delete/", campaign.delete, name="campaign-delete"),
    path("what/", steps.what, name="step-what"),
    path("message/", messages.message, name="step-message"),
    path("message/check/", messages.check, name="message-check"),
    path("message/listen/", messages.listen, name="message-listen"),
    path("people/", people.people, name="step-people"),
    path("people/clear/", people.clear, name="people-clear"),
    path("when/", steps.when, name="step-when"),
    path("review/", steps.review, name="step-review"),
    path("reports/", reports.reports, name="reports"),
    path("reports/<int:report_id>/", reports.download, name="report"),
    path("recipients/", recipients.search, name="recipients"),
    path("recipients/<int:recipient_id>/", recipients.show, name="recipient"),
]

of_account: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("campaigns/", campaigns.campaigns, name="campaigns"),
    path("campaigns/new/", steps.new, name="new-campaign"),
    path("campaigns/example/", people.example, name="example-sheet"),
    path("campaigns/<int:campaign_id>/", include(of_campaign)),
    path("inbox/", inbox.inbox, name="inbox"),
    path("inbox/conversation/", inbox.conversation, name="conversation"),
    path("inbox/reply/", inbox.reply, name="reply"),
    path("opt-outs/", opt_outs.opt_outs, name="opt-outs"),
    path("opt-outs/add/", opt_outs.add, name="opt-outs-add"),
    path("opt-outs/remove/", opt_outs.remove, name="opt-outs-remove"),
    path("otps/", otps.otps, name="otps"),
    path("numbers/", numbers.numbers, name="numbers"),
    path("numbers/buy/", numbers.buy, name="number-buy"),
    path("numbers/release/", numbers.release, name="number-release"),
    path("team/", team.team, name="team"),
    path("team/<int:member_id>/change/", team.change, name="team-change"),
    path("team/<int:member_id>/remove/", team.remove, name="team-remove"),
    path("keys/", keys.keys, name="keys"),
    path("keys/<int:key_id>/revoke/", keys.revoke, name="key-revoke"),
    path("settings/", settings.settings, name="settings"),
    path("audit/", audit.audit, name="audit"),
    path("audit/log.csv", audit.log_csv, name="audit-csv"),
    path("credits/", credits.credits, name="credits"),
    path("credits/statement.csv", credits.statement_csv, name="statement-csv"),
]

# Operators have it beside the admin pages.
of_server: list[URLPattern | URLResolver] = [
    path("", operator.overview, name="operator"),
    path("trunks/<str:alias>/change/", operator.change_trunk, name="operator-change-trunk"),
    path("accounts/", operator.accounts, name="operator-accounts"),
    path("accounts/<int:pk>/", operator.account, name="operator-account"),
    path("accounts/<int:pk>/top-up/", operator.top_up, name="operator-top-up"),
    path("accounts/<int:pk>/look/", operator.look, name="operator-look"),
    path("stop-looking/", operator.stop_looking, name="operator-stop-looking"),
    path("senders/", operator.senders, name="operator-senders"),
    path("senders/<int:pk>/decide/", operator.decide_sender, name="operator-decide-sender"),
]

urlpatterns = [
    path("", home.start, name="start"),
    path("console/", home.start, name="console"),
    path("console/operator/", include(of_server)),
    path("console/<int:account_id>/", include(of_account)),
]
