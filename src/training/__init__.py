"""From a base model to an adapter: label audit, memory estimate, trainer, rounds, checkpoints, evidence."""
