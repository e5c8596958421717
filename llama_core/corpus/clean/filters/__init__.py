"""Filters: published rules that drop a text or cut parts of it, as pure functions; `judge` applies them.

They import the recipe's sections and the cuts of `decisions`, and neither the store nor steps.
"""
