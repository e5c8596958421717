"""The work of the pipeline, without an orchestrator: it runs on a bare GPU node."""
