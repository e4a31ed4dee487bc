"""Experiments: many trainings or measurements as one command that resumes, with a result file and a report."""
