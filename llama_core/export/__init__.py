"""Exports of a trained model, in the formats that others load."""

REVISION = 3  # it is here so that reading it does not import torch
