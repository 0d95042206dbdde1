"""One folder for one notebook."""
