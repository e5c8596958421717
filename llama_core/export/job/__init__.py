"""The export step as a program that a launcher starts."""
