"""The stand-ins that let the pipeline run anywhere: an invented catalogue, the sample made from it, the tiny model."""
