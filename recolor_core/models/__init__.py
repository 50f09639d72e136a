"""The networks: encoder, generator, refiner and color memory, each with its configuration."""
