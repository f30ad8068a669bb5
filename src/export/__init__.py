"""The forms of a trained model that other programs load, each checked against the one it was made from."""
