"""What every report imports and compiles, done once in the process that those of the tests are forked from."""

from importlib import import_module

from forecasteval import cli  # noqa: F401
from forecasteval.report import batch, figures
from forecasteval.report.blocks import Words
from forecasteval.studies import QUESTIONS, question_of

import_module("statsmodels.api")
for study in QUESTIONS:
    question_of(study)
batch._share([])
figures.warm_up()
Words.warm_up()
