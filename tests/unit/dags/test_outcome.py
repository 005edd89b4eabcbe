"""What exit codes and last lines mean."""

from __future__ import annotations

import json

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowFailException, AirflowRuntimeError, AirflowSkipException, AirflowTaskTimeout
from airflow.sdk.execution_time.comms import ErrorResponse
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BlockedError, InputError, QualityError, TransientError
from dags.factory.command_line import LONGEST_WORDS, in_words, task_words, without_empty_options
from dags.factory.outcome import RETRY_POLICY, TaskRetryableError, read_failure, read_report, read_result, result_line


@pytest.mark.parametrize("error", [QualityError, InputError])
def test_what_another_try_cannot_mend_fails_at_once(error: type[InputError]) -> None:
    assert isinstance(read_failure("train", error.exit_code, "", "").error(), AirflowFailException)


def test_what_is_blocked_skips_itself_and_what_follows() -> None:
    assert isinstance(read_failure("train", BlockedError.exit_code, "", "").error(), AirflowSkipException)


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (TaskRetryableError("killed"), RetryAction.RETRY),
        (AirflowRuntimeError(ErrorResponse()), RetryAction.RETRY),
        (AirflowTaskTimeout("too long"), RetryAction.FAIL),
        (ValueError("a defect"), RetryAction.FAIL),
    ],
)
def test_only_what_may_not_happen_again_is_retried(error: BaseException, action: RetryAction) -> None:
    assert RETRY_POLICY.evaluate(error, 1, 2).action is action


@pytest.mark.parametrize("code", [TransientError.exit_code, -9, -15, 137, 143])
def test_a_transient_error_and_a_death_by_signal_are_tried_again(code: int) -> None:
    assert isinstance(read_failure("train", code, "", "").error(), TaskRetryableError)


@given(st.integers(min_value=1, max_value=127).filter(lambda code: code != TransientError.exit_code))
def test_no_other_exit_code_is_tried_again(code: int) -> None:
    assert not read_failure("train", code, "", "").retryable


def test_the_tasks_own_error_is_what_airflow_says() -> None:
    fields = {"code": "DATA_SCHEMA_UNSORTED", "message": "stamps go back", "where": "X.csv row 7", "remedy": "sort it"}
    failure = read_failure("ingest", 20, json.dumps({"task": "ingest", "error": fields}), "ignored")
    assert failure.text == "DATA_SCHEMA_UNSORTED: stamps go back [where: X.csv row 7] [do: sort it]"
    assert failure.as_xcom() == {"task": "ingest", "exit_code": 20, "text": failure.text}


@given(st.text())
def test_a_task_that_left_no_error_is_described_by_its_log(last_line: str) -> None:
    try:
        json.loads(last_line)["error"]["code"]
    except (ValueError, KeyError, TypeError):
        text = read_failure("train", -9, last_line, "the end of the log").text
        assert "signal 9" in text
        assert text.endswith("the end of the log")


@given(st.lists(st.one_of(st.text(), st.recursive(st.text() | st.integers(), st.lists).map(json.dumps))))
def test_nothing_but_a_result_counts_as_one(noise: list[str]) -> None:
    result = json.dumps({"task": "train", "outputs": {}})
    assert result_line([*noise, result, *noise]) == result


@pytest.mark.parametrize("line", ["", "no json", "[1]", "3", '{"task": "train"}'])
def test_a_finished_task_without_a_result_is_a_defect(line: str) -> None:
    with pytest.raises(AirflowFailException):
        read_result(line)


@pytest.mark.parametrize(
    ("line", "report"),
    [
        ('{"outputs": {"report": "runs/R/gates/index/index.html"}}', "runs/R/gates/index/index.html"),
        ('{"outputs": {"report": 3}}', None),
        ('{"outputs": {}}', None),
        ("no json", None),
        ("[]", None),
    ],
)
def test_a_report_is_read_from_the_last_line_if_there_is_one(line: str, report: str | None) -> None:
    assert read_report(line) == report


_OPTION_NAMES = st.from_regex(r"[a-z]+(-[a-z]+)?", fullmatch=True)


@given(st.dictionaries(_OPTION_NAMES, st.text(max_size=20)), st.booleans(), st.booleans())
def test_exactly_the_empty_options_are_left_out(options: dict[str, str], dry_run: bool, scoped: bool) -> None:
    words = task_words("/configs", "train", options, {"dry-run": str(dry_run).lower()})
    rendered = [*words[:-1], "--dry-run" if dry_run else ""]
    rendered[5:7] = ["--pairs=A-B,C-D", "--history-months=24"] if scoped else ["--pairs=", "--history-months="]
    left = without_empty_options(rendered)
    assert left[:4] == ["python", "-m", "tasks", "--config=/configs"]
    name = left.index("train", 5)
    assert left[5:name] == (["--pairs=A-B,C-D", "--history-months=24"] if scoped else [])
    given = [f"--{name}={value}" for name, value in options.items() if value]
    assert left[name + 1 :] == [*given, *(["--dry-run"] if dry_run else [])]


@given(st.text(alphabet=st.characters(exclude_categories=[]), max_size=100), st.integers(1, 300))
def test_words_of_an_option_are_plain_bounded_and_keep_both_ends(text: str, times: int) -> None:
    words = in_words(text * times)
    assert len(words) <= LONGEST_WORDS
    assert all(letter.isprintable() or letter in "\n\t" for letter in words)
    assert in_words(words) == words
    if text.isprintable():
        assert words == text * times or (words[:100], words[-100:]) == ((text * times)[:100], (text * times)[-100:])
