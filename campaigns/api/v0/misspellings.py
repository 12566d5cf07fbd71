"""The misspelt keys of the documented responses, which clients read."""

NUMBERS_CAMPAIGN = "campaing"  # sic
DELETED_CAMPAIGN = "camaign"  # sic
DELETED_NUMBER = "campaign-details"  # sic
CAMPAIGN_LISTS = "campaign-lists"  # sic
NUMBER_LISTS = "number-lists"  # sic
NUMBER_DETAIL = "number-detail"  # sic
HOLD_AMOUNT = "hold amount"  # sic
