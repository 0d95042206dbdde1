"""Whether a score of leads beats the rules that people wrote down."""
