"""How a model and its batches are spread over processes, applied from outside of the model."""
