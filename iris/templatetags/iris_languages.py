"""What the templates of all pages ask about the language."""

from django import template

from iris.languages import uses_latin_digits

register = template.Library()
register.simple_tag(uses_latin_digits, name="latin_digits")
