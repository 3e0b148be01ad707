"""Interventions inside other people's trainers."""
