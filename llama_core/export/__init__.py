"""Exports of a trained model, in the formats that others load."""

REVISION = 2  # here, where reading it imports no torch
