"""Calls of templates become the wikitext that they stand for: definitions, parameters, parser functions."""
