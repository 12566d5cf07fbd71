"""The inventory of phone numbers: who has which number, which are for sale, and which trunks can show them."""
