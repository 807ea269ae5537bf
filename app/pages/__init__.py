"""The pages for people: shells of HTML, filled by scripts that use the same API as everyone."""
