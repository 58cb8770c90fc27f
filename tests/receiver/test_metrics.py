"""What is counted without a lock is scraped as any counter and histogram."""

import math

from prometheus_client.parser import text_string_to_metric_families

from receiver.metrics import Metrics


def test_answers_are_scraped_by_code_and_by_the_time_they_took() -> None:
    metrics = Metrics()
    for status, seconds in ((200, 0.001), (200, 0.0011), (503, 2.5), (200, 60.0)):
        metrics.answers.note(status, seconds)

    for _ in range(2):  # to be scraped changes nothing
        families = {each.name: each for each in text_string_to_metric_families(metrics.text().decode())}
        codes = {each.labels["code"]: each.value for each in families["jumio_receiver_answers"].samples}
        told = families["jumio_receiver_answer_seconds"]
        within = {float(each.labels["le"]): each.value for each in told.samples if each.name.endswith("_bucket")}
        [count] = [each.value for each in told.samples if each.name.endswith("_count")]
        [total] = [each.value for each in told.samples if each.name.endswith("_sum")]

        assert (told.type, families["jumio_receiver_answers"].type) == ("histogram", "counter")
        assert codes == {"200": 3, "503": 1}
        # A bound belongs to what is below it, and each counts those before it, too.
        assert [within[bound] for bound in (0.001, 0.0025, 1, 2.5, 10, math.inf)] == [1, 2, 2, 3, 3, 4]
        assert (count, total) == (4, 0.001 + 0.0011 + 2.5 + 60.0)
