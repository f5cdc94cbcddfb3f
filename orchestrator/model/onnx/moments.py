"""The parts of a time as operators of ONNX: whole-number arithmetic on microseconds since 1970, in UTC."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from orchestrator.model.onnx.graph import Graph

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
# Days are counted from the first of March of the year 0: a leap day is then the last of its year.
_SINCE_MARCH_0000 = 719_468
_ERA = 146_097  # days in 400 years


def parts(graph: Graph, moments: str, wanted: Sequence[str], missing: int) -> dict[str, str]:
    """Per part a tensor of numbers, NaN where the time is missing."""
    gone = graph.add("Equal", moments, _whole(graph, missing))
    safe = graph.add("Where", gone, _whole(graph, 0), moments)
    nothing = graph.constant(float("nan"), "float64")
    made = _Parts(graph, safe)
    return {name: graph.add("Where", gone, nothing, graph.cast(_PARTS[name](made), "float64")) for name in wanted}


class _Parts:
    """Intermediate results, each made once and only when asked for."""

    def __init__(self, graph: Graph, moments: str) -> None:
        self._graph = graph
        self._moments = moments
        self._made: dict[str, str] = {}

    def days(self) -> str:
        return self._once("days", lambda: self.over(self._moments, _DAY))

    def seconds(self) -> str:
        """Of the day."""
        return self._once("seconds", lambda: self.over(self.rest(self._moments, _DAY), _SECOND))

    def year_of_era(self) -> str:
        def make() -> str:
            day = self._day_of_era()
            correction = self.less(self.over(day, 36_524), self.plus(self.over(day, 1_460), self.over(day, 146_096)))
            return self.over(self.plus(day, correction), 365)

        return self._once("year of era", make)

    def day_of_year(self) -> str:
        """From the first of March, 0 to 365."""

        def make() -> str:
            year = self.year_of_era()
            past = self.less(self.plus(self.times(year, 365), self.over(year, 4)), self.over(year, 100))
            return self.less(self._day_of_era(), past)

        return self._once("day of year", make)

    def month_from_march(self) -> str:
        """0 for March, 11 for February."""
        return self._once("month", lambda: self.over(self.plus(self.times(self.day_of_year(), 5), self.number(2)), 153))

    def month(self) -> str:
        return self.plus(self.rest(self.plus(self.month_from_march(), self.number(2)), 12), self.number(1))

    def is_early(self) -> str:
        """1 in January and February, which count to the year before."""
        early = self._graph.add("GreaterOrEqual", self.month_from_march(), self.number(10))
        return self._graph.cast(early, "int64")

    def year(self) -> str:
        def make() -> str:
            era = self.over(self._since_march(), _ERA)
            return self.plus(self.plus(self.year_of_era(), self.times(era, 400)), self.is_early())

        return self._once("year", make)

    def day(self) -> str:
        before = self.over(self.plus(self.times(self.month_from_march(), 153), self.number(2)), 5)
        return self.plus(self.less(self.day_of_year(), before), self.number(1))

    def day_from_january(self) -> str:
        """1 for the first of January."""
        year = self.year()
        whole = self._is(self.rest(year, 4))
        leap = self.plus(self.less(whole, self._is(self.rest(year, 100))), self._is(self.rest(year, 400)))
        # January and February are 59 days, 60 in a leap year; from March on they are counted in.
        late = self.plus(self.plus(self.day_of_year(), leap), self.number(60))
        early = self.less(self.day_of_year(), self.number(305))
        is_early = self._graph.cast(self.is_early(), "bool")
        return self._graph.add("Where", is_early, early, late)

    def plus(self, one: str, other: str) -> str:
        return self._graph.add("Add", one, other)

    def less(self, one: str, other: str) -> str:
        return self._graph.add("Sub", one, other)

    def times(self, one: str, number: int) -> str:
        return self._graph.add("Mul", one, self.number(number))

    def rest(self, one: str, number: int) -> str:
        """What division leaves; never negative."""
        return self._graph.add("Mod", one, self.number(number))

    def over(self, one: str, number: int) -> str:
        """Division rounded down; ONNX's rounds towards zero, so what is left over is taken away first."""
        return self._graph.add("Div", self.less(one, self.rest(one, number)), self.number(number))

    def number(self, value: int) -> str:
        return _whole(self._graph, value)

    def _since_march(self) -> str:
        return self._once("since march", lambda: self.plus(self.days(), self.number(_SINCE_MARCH_0000)))

    def _day_of_era(self) -> str:
        return self._once("day of era", lambda: self.rest(self._since_march(), _ERA))

    def _is(self, rest: str) -> str:
        return self._graph.cast(self._graph.add("Equal", rest, self.number(0)), "int64")

    def _once(self, name: str, make: Callable[[], str]) -> str:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]


_PARTS: Mapping[str, Callable[[_Parts], str]] = {
    "year": _Parts.year,
    "quarter": lambda made: made.plus(made.over(made.less(made.month(), made.number(1)), 3), made.number(1)),
    "month": _Parts.month,
    "day": _Parts.day,
    "dayofyear": _Parts.day_from_january,
    # The first of January 1970 was a Thursday.
    "weekday": lambda made: made.rest(made.plus(made.days(), made.number(3)), 7),
    "hour": lambda made: made.over(made.seconds(), 3600),
    "minute": lambda made: made.rest(made.over(made.seconds(), 60), 60),
    "second": lambda made: made.rest(made.seconds(), 60),
}


def _whole(graph: Graph, value: int) -> str:
    return graph.constant(value, "int64")
