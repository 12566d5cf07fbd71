"""What campaigns store about people: recipients with tags, survey responses, skipped rows of sheets."""
