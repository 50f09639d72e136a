"""From published photographs to shards for the trainers: fetch, clean, pack."""
