"""Recipes run from a checkout: data, training, evaluation, reports; not part of the wheel."""
