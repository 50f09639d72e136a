"""Fetch published photographs, clean them and pack them into shards for the trainers."""
