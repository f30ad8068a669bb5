"""What the results came from and where they were computed, stage by stage, for two people who compare their runs."""
