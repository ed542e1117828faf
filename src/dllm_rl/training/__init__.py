"""The loops: fine-tuning, reinforcement, and the demonstration made of both."""
