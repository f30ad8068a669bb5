"""Fine-tuning by a service that speaks OpenAI's API: files, jobs, loss curves, and what is left of them here."""
