"""Logs, traces and metrics: what an operator sees of a running service. None of them ever carries personal data.

Every metric is named here and nowhere else; docs/metrics.md shows this list.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

import orjson
import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from structlog.typing import EventDict, WrappedLogger

from shared.errors import CairnError

MAX_FRAMES: Final = 30
"""Innermost lines of a traceback that are logged."""
MAX_CAUSES: Final = 5
MAX_LINKS: Final = 64
"""Other traces that the span of a batch points at."""
_TRACEPARENT: Final = "traceparent"
_PROPAGATOR: Final = TraceContextTextMapPropagator()
_CHATTY: Final = ("aiokafka", "uvicorn.access", "urllib3", "opentelemetry", "alembic", "asyncio", "httpx", "faststream")


# Logs


def configure_logging(service: str, level: str = "INFO", to: TextIO | None = None) -> None:
    """Write one JSON object per log line to standard error (or `to`), from structlog and from every library's `logging` alike.

    Of an exception only its class and lines of code are written; its words too where it is a `CairnError`, because others quote data.
    Libraries that tell a lot are heard from `WARNING` on. May be called again.
    """
    common: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _named(service),
        _exception_without_data,
    ]
    handler = logging.StreamHandler(to or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer(serializer=_json)],
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *common],
        )
    )
    logging.root.handlers = [handler]
    logging.root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.root.level))
    if logging.root.level > logging.DEBUG:  # While a broker is away it writes dozens of lines a second; relay and consumer say it once.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    for name in ("uvicorn", "uvicorn.error"):  # They bring their own handlers, whose lines are no JSON.
        logging.getLogger(name).handlers = []
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *common, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def describe(error: BaseException) -> dict[str, Any]:
    """Return what may be written down about an exception: class, SQLSTATE, lines of code, causes; its words only of a `CairnError`."""
    causes: list[BaseException] = []
    cause = error.__cause__ or error.__context__
    while cause is not None and cause not in causes and len(causes) < MAX_CAUSES:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    frames = traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]
    about = {
        "type": f"{type(error).__module__}.{type(error).__qualname__}",
        "message": str(error) if isinstance(error, CairnError) else None,
        "sqlstate": getattr(error, "sqlstate", None),
        "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
        "causes": [type(each).__qualname__ for each in causes],
    }
    return {name: value for name, value in about.items() if value}


def _json(line: EventDict, **_: Any) -> str:
    return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _named(service: str) -> structlog.typing.Processor:
    def add(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
        line["service"] = service
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            line["trace_id"] = trace.format_trace_id(context.trace_id)
        return line

    return add


def _exception_without_data(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    given = line.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else given[1] if isinstance(given, tuple) else sys.exc_info()[1] if given else None
    if error is not None:
        line["exception"] = describe(error)
    record = line.get("_record")
    if record is not None:  # Or the formatter of `logging` would add the whole traceback, with its words.
        record.exc_info = record.exc_text = None
    return line


# Traces


def configure_tracing(service: str, release: str, endpoint: str | None, exporter: SpanExporter | None = None) -> TracerProvider | None:
    """Send spans to `endpoint` (OTLP over HTTP) or to `exporter`; with neither, none are made, and nothing is sent anywhere.

    Works once in a process. The caller shuts the provider down, which sends what is left; None where tracing is off.
    """
    if exporter is None and endpoint is None:
        return None
    provider = TracerProvider(resource=Resource.create({"service.name": f"cairn-{service}", "service.version": release}))
    if exporter is None:
        # Here, so that whoever sends no traces, such as most commands, need not wait for what it imports.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter(endpoint=endpoint)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider


def traceparent_of_current() -> str | None:
    """Return the W3C `traceparent` of the current span, to be sent along; None outside any trace."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get(_TRACEPARENT)


@contextmanager
def span(name: str, parent: str | None = None, links: Sequence[str] = (), **attributes: str | int) -> Iterator[trace.Span]:
    """Work inside one span; a span costs 50 us, so open one per batch or request, never one per record.

    Args:
        parent: a `traceparent` from elsewhere; without it the current span is the parent.
        links: `traceparent`s of the other records of a batch; of more than 64 the first count.
        attributes: counts and ids; never personal data.
    """
    others = [trace.Link(trace.get_current_span(_context_of(link)).get_span_context()) for link in links[:MAX_LINKS]]
    context = None if parent is None else _context_of(parent)
    tracer = trace.get_tracer("cairn")
    with tracer.start_as_current_span(
        name, context, attributes=attributes, links=others, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except BaseException as error:
            current.set_status(trace.StatusCode.ERROR, type(error).__qualname__)  # Its words may hold data.
            raise


def _context_of(traceparent: str) -> Context:
    return _PROPAGATOR.extract({_TRACEPARENT: traceparent}, Context())


# Metrics


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric is called, which labels it has and what it says."""

    name: str
    kind: type[Counter] | type[Gauge] | type[Histogram]
    labels: tuple[str, ...]
    meaning: str
    buckets: tuple[float, ...] = ()


_SECONDS: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_SIZES: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0)

CONSUMER_LAG: Final = Metric(
    "cairn_consumer_lag", Gauge, ("source", "partition"), "Events that the source's ledger holds and this service has not applied."
)
BATCH_SIZE: Final = Metric("cairn_batch_size", Histogram, (), "Commands decided in one transaction.", _SIZES)
POSITION: Final = Metric("cairn_position", Gauge, ("source", "partition"), "Last applied position of a source's partition.")
PARKED: Final = Metric("cairn_parked", Gauge, ("service",), "Records set aside and not yet resolved.")
WAITING: Final = Metric("cairn_waiting", Gauge, (), "Accepted, and waiting for something else to become known (evidence, mastery).")
END_TO_END: Final = Metric("cairn_end_to_end_seconds", Histogram, (), "From evidence accepted to the schedule published.", _SECONDS)
LEDGER_EVENTS: Final = Metric("cairn_ledger_events_total", Counter, ("type",), "Events written to this service's ledger.")
RELAY_PUBLISHED: Final = Metric("cairn_relay_published_total", Counter, (), "Events sent to Kafka, repeats included.")
HANDLE: Final = Metric("cairn_handle_seconds", Histogram, (), "Duration of one transaction of the ledger.", _SECONDS)
METRICS: Final = (CONSUMER_LAG, BATCH_SIZE, POSITION, PARKED, WAITING, END_TO_END, LEDGER_EVENTS, RELAY_PUBLISHED, HANDLE)


class Metrics:
    """The metrics of one process, in a registry of their own; made by the app and passed to whoever counts."""

    def __init__(self, shared: Path | None = None) -> None:
        """Make them; `shared` is the folder where several processes keep theirs: each tells those of all."""
        self._shared = shared
        self.registry = CollectorRegistry()
        self.consumer_lag = self._gauge(CONSUMER_LAG)
        self.batch_size = self._histogram(BATCH_SIZE)
        self.position = self._gauge(POSITION)
        self.parked = self._gauge(PARKED)
        self.waiting = self._gauge(WAITING)
        self.end_to_end = self._histogram(END_TO_END)
        self.ledger_events = Counter(LEDGER_EVENTS.name, LEDGER_EVENTS.meaning, LEDGER_EVENTS.labels, registry=self.registry)
        self.relay_published = Counter(RELAY_PUBLISHED.name, RELAY_PUBLISHED.meaning, RELAY_PUBLISHED.labels, registry=self.registry)
        self.handle = self._histogram(HANDLE)

    def render(self) -> bytes:
        """Return all values in the text format that Prometheus reads; of several processes the sums, and what each gauge showed last."""
        if self._shared is None:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._shared))  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def _gauge(self, metric: Metric) -> Gauge:
        return Gauge(metric.name, metric.meaning, metric.labels, registry=self.registry, multiprocess_mode="mostrecent")

    def _histogram(self, metric: Metric) -> Histogram:
        return Histogram(metric.name, metric.meaning, metric.labels, registry=self.registry, buckets=metric.buckets)


def metrics_table() -> str:
    """Return all metrics as a table in Markdown."""
    rows = "".join(
        f"| `{metric.name}` | {metric.kind.__name__.lower()} | {', '.join(metric.labels)} | {metric.meaning} |\n" for metric in METRICS
    )
    return f"| Name | Kind | Labels | Meaning |\n|---|---|---|---|\n{rows}"
