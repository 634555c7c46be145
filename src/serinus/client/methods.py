"""The calls as methods of the two clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar, overload

from serinus.client import calls, interventions, shadows, watching
from serinus.client import experiments as experiment_calls
from serinus.client import jobs as job_calls
from serinus.client import monitoring as monitoring_calls
from serinus.client import rollbacks as rollback_calls
from serinus.client.calls import Call
from serinus.client.types import Page

P = ParamSpec("P")
T = TypeVar("T")


class Method(Generic[P, T]):
    """A call as a method: :class:`Serinus` answers, :class:`AsyncSerinus` is awaited."""

    def __init__(self, describe: Callable[P, Call[T]]) -> None:
        self._describe = describe
        self.__doc__ = describe.__doc__

    @overload
    def __get__(self, client: Blocking, owner: type[Any]) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: Awaiting, owner: type[Any]) -> Callable[P, Awaitable[T]]: ...
    @overload
    def __get__(self, client: None, owner: type[Any]) -> Method[P, T]: ...
    def __get__(self, client: Any, owner: type[Any]) -> Any:
        """Bind the call to a client."""
        if client is None:
            return self

        @wraps(self._describe)
        def bound(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.run(self._describe(*args, **kwargs))

        return bound


class Listing(Generic[P, T]):
    """A paged call as a method that goes through all pages, each fetched when it is reached."""

    def __init__(self, describe: Callable[P, Call[Page[T]]]) -> None:
        self._describe = describe
        self.__doc__ = describe.__doc__

    @overload
    def __get__(self, client: Blocking, owner: type[Any]) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, client: Awaiting, owner: type[Any]) -> Callable[P, AsyncIterator[T]]: ...
    @overload
    def __get__(self, client: None, owner: type[Any]) -> Listing[P, T]: ...
    def __get__(self, client: Any, owner: type[Any]) -> Any:
        """Bind the call to a client."""
        if client is None:
            return self

        @wraps(self._describe)
        def bound(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.pages(self._describe(*args, **kwargs))

        return bound


class _Calls:
    """What both clients can do; each name is described where its call is."""

    health = Method(calls.health)
    system_health = Method(calls.system_health)
    routing = Method(calls.routing)

    models = Listing(calls.models)
    model = Method(calls.model)
    versions = Listing(calls.versions)
    version = Method(calls.version)
    stages = Listing(calls.stages)
    compare = Method(calls.compare)
    register = Method(calls.register)
    package = Method(calls.package)
    renew_package = Method(calls.renew_package)
    promote_version = Method(calls.promote_version)
    train = Method(job_calls.train)

    deploy = Method(calls.deploy)
    forecast = Method(calls.forecast)
    replay = Method(calls.replay)
    shadow_report = Method(shadows.shadow_report)
    whatif = Method(calls.whatif)
    deployments = Listing(calls.deployments)
    deployment = Method(calls.deployment)
    deployment_of = Method(calls.deployment_of)
    statuses = Listing(watching.statuses)
    prognosis = Method(watching.prognosis)
    history = Listing(calls.history)
    verdicts = Listing(calls.verdicts)
    pause = Method(interventions.pause)
    resume = Method(interventions.resume)
    approve = Method(interventions.approve)
    promote = Method(interventions.promote)
    abort = Method(interventions.abort)
    retry = Method(interventions.retry)
    start_experiment = Method(experiment_calls.start_experiment)
    experiments = Listing(experiment_calls.experiments)
    experiment = Method(experiment_calls.experiment)
    evaluate = Method(experiment_calls.evaluate)
    promote_winner = Method(experiment_calls.promote_winner)

    rollback = Method(rollback_calls.rollback)
    rollback_plan = Method(rollback_calls.rollback_plan)
    rollbacks = Listing(rollback_calls.rollbacks)
    rollback_of = Method(rollback_calls.rollback_of)
    decline_rollback = Method(rollback_calls.decline_rollback)
    defaults = Listing(rollback_calls.defaults)
    set_default = Method(rollback_calls.set_default)
    clear_default = Method(rollback_calls.clear_default)
    default_alone = Method(rollback_calls.default_alone)
    end_default_alone = Method(rollback_calls.end_default_alone)

    performance_history = Listing(monitoring_calls.performance_history)
    drift_history = Listing(monitoring_calls.drift_history)
    profiles = Listing(monitoring_calls.profiles)
    recommendation = Method(monitoring_calls.recommendation)
    monitoring = Method(monitoring_calls.monitoring)
    jobs = Listing(job_calls.jobs)
    job = Method(job_calls.job)
    cancel_job = Method(job_calls.cancel_job)

    predict = Method(calls.predict)
    feedback = Method(calls.feedback)
    gateway_health = Method(calls.gateway_health)
    model_info = Method(calls.model_info)
    stats = Method(calls.stats)


class Blocking(_Calls):
    """Carries calls out at once."""


class Awaiting(_Calls):
    """Carries calls out when they are awaited."""
