"""Cleaning between ingest and dedup: stages that write decisions about the documents of one source."""
