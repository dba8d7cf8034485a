"""Clicks of a person come in over HTTP from a page; labels, suggestions and models come out, on disk and to the page.

The server of ``milopyp label``. Everything that it is told is kept before it answers.
"""
