"""What the pipeline's stages are made of: data and model, machines, phases, conclusion."""
