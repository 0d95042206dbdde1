"""A YAML file read as a model: every problem by row, a required key that is wrong or missing too."""

from pydantic import BaseModel

from forecasteval.tables.document import read_document


class _Plan(BaseModel):
    model_config = {"extra": "forbid"}

    name: str
    share: float = 0.5


def test_a_required_key_that_is_missing_or_wrong_is_a_problem_not_a_crash(tmp_path):
    file = tmp_path / "plan.yaml"
    file.write_text("share: 0.2\nnmae: A\n")
    document = read_document(file, "a plan", "Correct it.", "Write name: ...")
    plan = document.read_as(_Plan)
    assert plan.share == 0.2
    assert sorted(str(p) for p in document.problems) == [
        "plan.yaml, column name: found nothing; expected a line name: .... Write it.",
        "plan.yaml, row 2, column nmae: found an unknown key; expected one of name, share. Did you mean name? Correct or remove the line.",
    ]
