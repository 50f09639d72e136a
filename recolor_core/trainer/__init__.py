"""The trainers of both networks."""
