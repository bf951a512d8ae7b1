"""Steps of a run -> an append-only memory -> messages for a model, and JSON."""
