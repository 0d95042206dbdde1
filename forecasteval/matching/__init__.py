"""Which deals two forecasters are compared on, and what each had said by then."""
