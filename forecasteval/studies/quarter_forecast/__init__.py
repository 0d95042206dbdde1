"""What the quarter will book, in what range, and whose number to believe."""
