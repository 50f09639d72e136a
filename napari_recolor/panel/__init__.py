"""The controls of the panel, and what each of them does."""
