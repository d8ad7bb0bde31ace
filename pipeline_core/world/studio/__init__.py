"""The studio: people in large motion, cameras that go round, foregrounds on plain colours, each with its truth."""
