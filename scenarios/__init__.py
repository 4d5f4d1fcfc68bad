"""Scenario files and sample gateway configs that ship with the tool: data."""
