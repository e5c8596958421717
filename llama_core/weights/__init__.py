"""A model's weights wherever they lie and in whatever format: `open_weights` reads only what is asked for."""
