"""The sections of a model's report: findings with their pictures and the words that explain them."""
