"""What happens between a base model and an adapter: label audit, trainer, rounds, checkpoints, evidence."""
