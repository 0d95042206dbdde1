"""A vendor's claim held against evidence: claim card, questionnaire, blind pack, result."""
