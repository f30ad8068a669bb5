"""Cleaning on more than one machine: the rules of the stages over shards, by datatrove; what comes out is data.raw."""
