"""Logs are JSON without data, traces cross processes as W3C text, and every metric is in the list."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from shared import telemetry
from shared.errors import BadInput
from shared.telemetry import METRICS, Metrics, span, traceparent_of_current

ROOT = Path(__file__).parents[2]
CANARY = "Canary Marmalade"
REMOTE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Configured logging, written to memory; the tests' own logging is put back afterwards."""
    handlers, level = logging.root.handlers, logging.root.level
    to = io.StringIO()
    telemetry.configure_logging("mastery", "INFO", to)
    yield to
    logging.root.handlers = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


def read(to: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in to.getvalue().splitlines()]


def test_a_log_line_is_one_json_object(lines: io.StringIO) -> None:
    structlog.get_logger().info("batch applied", records=12)
    structlog.get_logger().debug("not asked for")
    (line,) = read(lines)
    assert (line["event"], line["records"], line["level"], line["service"]) == ("batch applied", 12, "info", "mastery")
    assert line["timestamp"].endswith("Z")


def test_libraries_speak_json_too_and_the_chatty_ones_only_when_it_matters(lines: io.StringIO) -> None:
    logging.getLogger("some.library").info("hello %s", "there")
    logging.getLogger("urllib3").info("joined group")
    logging.getLogger("urllib3").warning("lost broker")
    logging.getLogger("aiokafka").error("for the hundredth time")
    assert [(line["event"], line["logger"]) for line in read(lines)] == [("hello there", "some.library"), ("lost broker", "urllib3")]


def fail() -> None:
    raise ValueError(f"invalid input: {CANARY}")


@pytest.mark.parametrize("logger", [structlog.get_logger(), logging.getLogger("some.library")])
def test_an_exception_is_logged_without_its_words(logger: Any, lines: io.StringIO) -> None:
    try:
        try:
            fail()
        except ValueError as error:
            raise RuntimeError(CANARY) from error
    except RuntimeError as error:
        logger.exception("failed")
        logger.error("failed", exc_info=error)
    assert CANARY not in lines.getvalue()
    for line in read(lines):
        assert line["exception"]["type"] == "builtins.RuntimeError"
        assert line["exception"]["causes"] == ["ValueError"]
        assert "test_telemetry.py" in line["exception"]["frames"][-1]


def test_our_own_errors_keep_their_words(lines: io.StringIO) -> None:
    try:
        raise BadInput("line 3 has 4 columns instead of 5")
    except BadInput:
        structlog.get_logger().exception("refused")
    assert read(lines)[0]["exception"]["message"] == "line 3 has 4 columns instead of 5"


def test_without_an_exporter_a_trace_from_elsewhere_is_still_passed_on() -> None:
    assert traceparent_of_current() is None
    assert telemetry.configure_tracing("mastery", "0.1.0", endpoint=None) is None
    with span("batch", parent=REMOTE):
        assert traceparent_of_current() == REMOTE
    assert traceparent_of_current() is None


@pytest.mark.parametrize("parent", ["", "nonsense", "00-0-0-01", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_a_parent_that_is_none_starts_anew(parent: str) -> None:
    with span("batch", parent=parent, links=[parent]):
        assert traceparent_of_current() is None


TRACED = f"""
import json
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from shared import telemetry
kept = InMemorySpanExporter()
provider = telemetry.configure_tracing("mastery", "0.1.0", None, kept)
try:
    with telemetry.span("batch", parent="{REMOTE}", links=["{REMOTE}"] * 100, records=3):
        sent = telemetry.traceparent_of_current()
        with telemetry.span("inner"):
            raise ValueError("{CANARY}")
except ValueError:
    pass
provider.shutdown()
print(json.dumps([sent, [json.loads(each.to_json()) for each in kept.get_finished_spans()]]))
"""


def test_a_span_continues_the_trace_it_came_from() -> None:
    run = subprocess.run([sys.executable, "-c", TRACED], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    sent, (inner, outer) = json.loads(run.stdout)
    assert outer["parent_id"] == "0xb7ad6b7169203331"
    assert inner["parent_id"] == outer["context"]["span_id"]
    assert outer["context"]["trace_id"] == inner["context"]["trace_id"] == "0x0af7651916cd43dd8448eb211c80319c"
    assert sent == f"00-0af7651916cd43dd8448eb211c80319c-{outer['context']['span_id'][2:]}-01"
    assert len(outer["links"]) == telemetry.MAX_LINKS
    assert outer["attributes"] == {"records": 3}
    assert inner["status"] == {"status_code": "ERROR", "description": "ValueError"}
    assert CANARY not in run.stdout


def test_every_metric_is_in_the_list_and_only_those() -> None:
    metrics = Metrics()
    families = {family.name.removesuffix("_created") for family in text_string_to_metric_families(metrics.render().decode())}
    assert families == {metric.name.removesuffix("_total") for metric in METRICS}


def test_metrics_count_with_the_labels_of_the_list() -> None:
    metrics = Metrics()
    metrics.ledger_events.labels(type="evidence.recorded.v1").inc(3)
    metrics.relay_published.inc()
    metrics.consumer_lag.labels(source="evidence", partition=0).set(5)
    metrics.position.labels(source="evidence", partition=0).set(7)
    metrics.parked.labels(service="mastery").set(1)
    metrics.waiting.set(2)
    metrics.end_to_end.observe(0.3)
    metrics.handle.observe(0.01)
    metrics.batch_size.observe(500)
    text = metrics.render().decode()
    for sample in (
        'cairn_ledger_events_total{type="evidence.recorded.v1"} 3.0', "cairn_relay_published_total 1.0",
        'cairn_consumer_lag{partition="0",source="evidence"} 5.0', 'cairn_position{partition="0",source="evidence"} 7.0',
        'cairn_parked{service="mastery"} 1.0', "cairn_waiting 2.0", 'cairn_end_to_end_seconds_bucket{le="0.5"} 1.0',
        'cairn_end_to_end_seconds_bucket{le="0.2"} 0.0', "cairn_handle_seconds_count 1.0", "cairn_batch_size_sum 500.0",
    ):  # fmt: skip
        assert sample in text
    assert "5.0" not in Metrics().render().decode().replace('le="5.0"', ""), "two registries share nothing"


def test_spans_arrive_where_they_are_sent_to() -> None:
    taken: list[tuple[str | None, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append((self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

    script = (
        "import sys; from shared.telemetry import configure_tracing; from opentelemetry import trace\n"
        "provider = configure_tracing('mastery', '1.2.3', sys.argv[1])\n"
        "with trace.get_tracer('x').start_as_current_span('batch'): pass\n"
        "provider.shutdown()"
    )
    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/v1/traces"
        subprocess.run([sys.executable, "-c", script, address], check=True, timeout=60)
        server.shutdown()
    ((kind, body),) = taken
    assert kind == "application/x-protobuf"
    assert b"cairn-mastery" in body
