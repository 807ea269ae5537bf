"""Which seats a batch tries to get: best ones when alone, and no refusal without a look."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.refusals import NotEnoughSeats, Refusal, SeatTaken, SoldOut
from app.domain.seating import House, SeatMap, best_seats
from app.domain.showings import Showing
from app.domain.wanted import Wanted
from app.tickets import seat_choice
from app.tickets.seat_choice import Order, SeatChooser, choose

HOUSE = House(seats=20, seats_per_row=5)
ALL = range(1, 21)
QUIET_LOOKS = 8  # until a process seems to be alone


def showing(number: int = 0) -> Showing:
    day = date(2046, 1, 1) + timedelta(days=number)
    return Showing("18:00", day, datetime(2046, 1, 1, 12, 30, tzinfo=UTC))


def party(amount: int = 1, house: House = HOUSE, of: int = 0) -> Order:
    return Order(showing(of), house, Wanted(amount))


def chosen(*seats: int, of: int = 0) -> Order:
    return Order(showing(of), HOUSE, Wanted(len(seats), seats, "seats"))


class Process:
    """A chooser, and a house that it sells; `taken` is what the database has."""

    def __init__(self, *taken: int) -> None:
        self.taken = set(taken)
        self.now = 0.0
        self.chooser = SeatChooser(clock=lambda: self.now)
        self.looks = 0

    def batch(
        self, *orders: Order, taken_meanwhile: Sequence[int] = ()
    ) -> list[tuple[int, ...] | Refusal | None]:
        """Return the result of each order; None means that it has to be tried again."""
        looked = self.chooser.begin(orders)
        if looked:
            self.looks += 1
            self.chooser.learn({each: set(self.taken) for each in looked})
        choices = self.chooser.choose(orders)
        self.taken.update(taken_meanwhile)
        outcomes: list[tuple[int, ...] | Refusal | None] = []
        for order, choice in zip(orders, choices, strict=True):
            if isinstance(choice, tuple):
                assert self.taken.isdisjoint(choice) or taken_meanwhile or not looked
                if not self.taken.isdisjoint(choice):
                    self.chooser.lose(order.showing, choice)
                    outcomes.append(None)
                    continue
                self.taken.update(choice)
            elif choice is not None:
                assert order.showing in looked  # nobody is refused without a look
            outcomes.append(choice)
        return outcomes

    def choices(self, orders: Sequence[Order]) -> list[tuple[int, ...] | Refusal | None]:
        """Return what is chosen in houses that are all empty."""
        self.chooser.learn({each: set[int]() for each in self.chooser.begin(orders)})
        return self.chooser.choose(orders)

    def sell(self, *orders: Order) -> list[tuple[int, ...] | Refusal]:
        """Return the final result of each order."""
        outcomes: dict[Order, tuple[int, ...] | Refusal] = {}
        waiting = list(orders)
        for _ in range(200):
            found = self.batch(*waiting)
            outcomes |= {
                order: outcome
                for order, outcome in zip(waiting, found, strict=True)
                if outcome is not None
            }
            waiting = [order for order in waiting if order not in outcomes]
            if not waiting:
                return [outcomes[order] for order in orders]
        raise AssertionError("these orders come again forever")

    def settle(self, batches: int = QUIET_LOOKS + 1) -> None:
        """Sell in a quiet house until this process seems to be alone."""
        for _ in range(batches):
            self.chooser.begin([party(of=-1)])
            self.chooser.learn({showing(-1): set()})


def seats_of(outcomes: Sequence[tuple[int, ...] | Refusal | None]) -> list[int]:
    return sorted(seat for each in outcomes if isinstance(each, tuple) for seat in each)


class TestLook:
    def test_an_unknown_house_needs_a_look(self) -> None:
        chooser = SeatChooser()
        assert chooser.begin([party(of=1), party(of=2), party(of=1)]) == {showing(1), showing(2)}

    def test_a_lone_order_looks_until_this_process_seems_to_be_alone(self) -> None:
        process = Process()
        for _ in range(QUIET_LOOKS + 1):  # the first look expects nothing
            process.batch(party())
        assert process.looks == QUIET_LOOKS + 1
        for _ in range(5):
            process.batch(party())
        assert process.looks == QUIET_LOOKS + 1

    def test_a_lone_order_looks_again_after_a_moment(self) -> None:
        process = Process()
        process.settle()
        process.batch(party())
        process.now += seat_choice.MAX_AGE_SECONDS
        assert not process.chooser.begin([party()])
        process.now += 0.001
        assert process.chooser.begin([party()]) == {showing()}

    def test_a_surprise_makes_it_look_again(self) -> None:
        process = Process()
        process.settle(QUIET_LOOKS)
        process.batch(party())
        process.taken.add(1)
        process.batch(party())
        for _ in range(QUIET_LOOKS):
            assert process.chooser.begin([party()])
            process.chooser.learn({showing(): set(process.taken)})
        assert not process.chooser.begin([party()])

    @pytest.mark.parametrize(("seats", "looks"), [(200, 1), (20, 2)])
    def test_a_batch_trusts_a_look_longer_if_more_seats_are_free(
        self, seats: int, looks: int
    ) -> None:
        process, house = Process(), House(seats, seats_per_row=5)
        for _ in range(10):
            process.batch(party(house=house), party(house=house))
        assert process.looks == looks

    def test_a_resized_house_needs_a_look(self) -> None:
        process = Process()
        process.settle()
        process.batch(party())
        for house in (House(10, 5), House(10, 10)):
            assert process.chooser.begin([party(house=house)]) == {showing()}
            process.chooser.learn({showing(): set(process.taken)})
            assert not process.chooser.begin([party(house=house)])

    @pytest.mark.parametrize(
        "orders",
        [
            [party(5)],  # it would be split
            [party(15)],  # more than are free
            [chosen(1)],
            [chosen(2, 19)],
            [party(7), party(7)],  # each is fine, both are too many
        ],
    )
    def test_nobody_is_split_or_refused_from_memory(self, orders: list[Order]) -> None:
        process = Process(*range(1, 20, 3))
        process.settle()
        process.batch(party())
        before = process.looks
        assert process.chooser.begin(orders) == {showing()}
        assert process.looks == before

    def test_remembered_seats_are_chosen_without_a_look(self) -> None:
        process = Process(*range(1, 20, 3))
        process.settle()
        process.batch(party())
        for order in (party(), chosen(5), chosen(2, 3, 20)):
            assert not process.chooser.begin([order])

    def test_a_party_in_a_batch_is_split_only_after_a_look(self) -> None:
        process = Process(*range(1, 20, 3))
        process.batch(party(), party())
        first, second = process.batch(party(5), party())
        assert (first, isinstance(second, tuple), process.looks) == (None, True, 1)
        first, second = process.batch(party(5), party())
        assert (isinstance(first, tuple), process.looks) == (True, 2)

    def test_a_lost_seat_requires_looks_for_a_moment(self) -> None:
        process = Process()
        lost, *_ = process.batch(chosen(1), chosen(20), taken_meanwhile=[1])
        assert lost is None
        pair = party(), party()
        assert process.chooser.begin(pair) == {showing()}  # this process knows nothing of it
        process.chooser.learn({showing(): {1, 20}})
        assert process.chooser.begin(pair) == {showing()}  # others are selling it, too
        process.chooser.learn({showing(): {1, 2, 20}})
        process.now += 0.05
        assert not process.chooser.begin(pair)

    def test_a_lost_seat_shows_that_this_process_is_not_alone(self) -> None:
        process = Process()
        process.settle()
        process.batch(party())
        process.taken.add(7)  # unknown here
        lost, given = process.batch(chosen(7), party())
        assert (lost, isinstance(given, tuple)) == (None, True)
        # The first look is one more surprise: it finds the seats that this batch has sold.
        for orders in ([party(), party()], *[[party()]] * QUIET_LOOKS):
            assert process.chooser.begin(orders) == {showing()}
            process.chooser.learn({showing(): set(process.taken)})

    def test_an_order_whose_look_failed_is_not_decided(self) -> None:
        process = Process(*ALL)
        process.batch(party())
        process.settle()
        chooser = process.chooser
        orders = [party(), party(2), chosen(7)]
        assert chooser.begin(orders) == {showing()}
        assert chooser.choose(orders) == [None] * 3  # the look has failed


class TestChoice:
    def test_a_lone_order_gets_the_best_seats(self) -> None:
        process = Process(8, 13)
        while process.taken != set(ALL):
            best = best_seats(set(ALL) - process.taken, 1, HOUSE)
            assert process.batch(party()) == [best]

    @pytest.mark.parametrize("amounts", [[4, 3, 5, 2, 6], [6, 6, 6, 2], [1, 19], [20]])
    def test_one_party_after_another_gets_the_best_seats(self, amounts: list[int]) -> None:
        process = Process()
        process.settle()
        for amount in amounts:
            best = best_seats(set(ALL) - process.taken, amount, HOUSE)
            assert process.batch(party(amount)) == [best]
        assert process.taken == set(ALL)

    def test_a_batch_of_a_lone_process_gets_the_best_seats_in_turn(self) -> None:
        process = Process()
        process.settle()
        free = SeatMap(HOUSE)
        expected = []
        for amount in (4, 1, 3, 2):
            expected.append(free.best(amount))
            free.take(expected[-1])
        assert process.batch(*(party(amount) for amount in (4, 1, 3, 2))) == expected

    def test_a_crowd_sits_near_the_place_of_its_process(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("random.randint", lambda _, last: last - 1)
        process = Process()
        free = SeatMap(HOUSE)
        first, second = process.batch(party(2), party(1))
        assert first == free.best(2, near=19)
        free.take(first)
        assert second == free.best(1, near=19)

    @pytest.mark.parametrize(
        ("others", "seat"),
        [((1,), 20), ((20,), 1), ((3, 4, 18), 11), ((1, 20), 10), ((9, 11), 20), ((11,), 1)],
    )
    def test_a_crowd_sits_as_far_as_possible_from_what_others_have_sold(
        self, monkeypatch: pytest.MonkeyPatch, others: tuple[int, ...], seat: int
    ) -> None:
        monkeypatch.setattr(seat_choice, "_CROWD", 0)
        assert Process(*others).batch(party()) == [(seat,)]

    def test_a_process_is_not_driven_away_by_its_own_sales(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(seat_choice, "_CROWD", 0)
        monkeypatch.setattr("random.randint", lambda *_: 8)
        process = Process()
        assert process.batch(party()) == [(8,)]
        assert process.batch(party()) == [(7,)]  # after a look
        process.taken.add(1)
        assert process.batch(party()) == [(20,)]

    def test_a_crowd_of_a_process_that_may_not_be_alone_claims_part_of_the_house(self) -> None:
        outcomes = Process().batch(*(party() for _ in range(20)))
        assert seats_of(outcomes)
        assert outcomes.count(None) > 10

    def test_houses_in_a_batch_are_independent(self) -> None:
        process = Process()
        process.settle()
        orders = [party(3, of=1), party(3, of=2), chosen(1, of=1), party(17, of=3)]
        first, second, third, fourth = process.choices(orders)
        assert first == second == best_seats(ALL, 3, HOUSE)
        assert third == (1,)
        assert fourth == best_seats(ALL, 17, HOUSE)

    @pytest.mark.parametrize("is_alone", [True, False])
    @pytest.mark.parametrize("taken", [(), (1, 2, 3), tuple(range(1, 20))])
    def test_a_batch_larger_than_the_house_sells_it_out(
        self, taken: tuple[int, ...], is_alone: bool
    ) -> None:
        process = Process(*taken)
        if is_alone:
            process.settle()
        outcomes = process.sell(*(party() for _ in range(30)))
        assert seats_of(outcomes) == [seat for seat in ALL if seat not in taken]
        refused = [each for each in outcomes if isinstance(each, Refusal)]
        assert len(refused) == 10 + len(taken)
        assert all(isinstance(each, SoldOut) for each in refused)

    def test_seats_claimed_in_a_batch_are_refused_by_the_next(self) -> None:
        process = Process()
        first, second = process.batch(chosen(1, 2), chosen(2, 3))
        assert (first, second) == ((1, 2), None)  # the first may yet fail
        (refused,) = process.batch(chosen(2, 3))
        assert isinstance(refused, SeatTaken)
        assert refused.facts == {"free_seats": list(range(3, 21))}

    @pytest.mark.parametrize(
        ("taken", "order", "kind", "facts"),
        [
            (tuple(ALL), party(), SoldOut, {"seats_left": 0}),
            (tuple(ALL), party(3), SoldOut, {"seats_left": 0}),
            (tuple(ALL), chosen(7), SoldOut, {"seats_left": 0}),
            (tuple(range(1, 19)), party(3), NotEnoughSeats, {"seats_left": 2}),
            ((), party(21), NotEnoughSeats, {"seats_left": 20}),
            (
                tuple(seat for seat in ALL if seat not in (16, 8, 1)),
                chosen(1, 2),
                SeatTaken,
                {"free_seats": [1, 8, 16]},
            ),
        ],
    )
    def test_a_taken_seat_is_refused(
        self, taken: tuple[int, ...], order: Order, kind: type[Refusal], facts: dict[str, object]
    ) -> None:
        (refused,) = Process(*taken).batch(order)
        assert isinstance(refused, kind)
        assert refused.facts == facts
        with pytest.raises(kind) as refusal:
            choose(SeatMap(HOUSE, taken), order.wanted)
        assert refusal.value.facts == facts


class TestMemory:
    def test_a_forgotten_house_needs_a_look(self) -> None:
        process = Process()
        process.settle()
        process.batch(party())
        assert not process.chooser.begin([party()])
        process.taken.clear()  # a ticket was deleted
        process.chooser.forget(showing())
        assert process.batch(party()) == [(8,)]
        process.chooser.forget(showing(7))  # of which it knows nothing

    def test_a_house_may_be_forgotten_while_a_batch_is_in_flight(self) -> None:
        chooser = SeatChooser()
        orders = [party(2), party(2)]
        chooser.begin(orders)
        chooser.forget(showing())
        chooser.learn({showing(): set()})
        assert all(isinstance(each, tuple) for each in chooser.choose(orders))
        chooser.lose(showing(), (8,))
        assert chooser.begin(orders) == {showing()}

    def test_a_lost_seat_makes_it_look_and_go_elsewhere(self) -> None:
        process = Process()
        process.settle()
        process.batch(party())
        process.taken.add(7)  # by another process; unknown here
        assert process.batch(chosen(7)) == [None]
        assert process.chooser.begin([chosen(7)]) == {showing()}
        (refused,) = process.batch(chosen(7))
        assert isinstance(refused, SeatTaken)
        best = best_seats(set(ALL) - process.taken, 1, HOUSE)
        assert process.batch(party()) == [best]

    def test_after_a_loss_a_crowd_sits_elsewhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("random.random", lambda: 1)  # never held back
        monkeypatch.setattr("random.randint", lambda *_: 20)
        process = Process()
        assert process.batch(party(), party(), taken_meanwhile=[20]) == [None, (19,)]
        assert process.batch(party(), party()) == [(1,), (2,)]

    @pytest.mark.parametrize(("chance", "outcome"), [(0.49, None), (0.5, (8,))])
    def test_a_contended_house_is_left_to_others_now_and_then(
        self, monkeypatch: pytest.MonkeyPatch, chance: float, outcome: tuple[int, ...] | None
    ) -> None:
        monkeypatch.setattr("random.random", lambda: chance)
        monkeypatch.setattr("random.randint", lambda *_: 8)
        process = Process()
        taken = best_seats(ALL, 1, HOUSE)
        assert process.batch(party(), taken_meanwhile=taken) == [None]
        process.taken.clear()
        assert process.batch(party()) == [outcome]

    def test_a_refused_order_does_not_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("random.random", lambda: 0)  # held back whenever possible
        process = Process()
        process.batch(party(), taken_meanwhile=list(ALL))
        for order in (party(), party(2), chosen(1)):
            (refused,) = process.batch(order)
            assert isinstance(refused, SoldOut)

    def test_it_remembers_a_limited_number_of_houses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(seat_choice, "_MAX_SHOWINGS", 3)
        process = Process()
        process.settle()
        for number in range(8):
            assert process.chooser.begin([party(of=number)]) == {showing(number)}
            process.chooser.learn({showing(number): set()})
            assert len(process.chooser._remembered) <= 4
        assert process.chooser.begin([party(of=0)]) == {showing(0)}
        assert not process.chooser.begin([party(of=7)])


@settings(deadline=None)
@given(st.data())
@pytest.mark.slow
def test_several_processes_always_sell_out_a_house(data: st.DataObject) -> None:
    house = House(data.draw(st.integers(1, 12)), data.draw(st.integers(1, 5)))
    taken: set[int] = set()
    processes = [Process() for _ in range(data.draw(st.integers(1, 3)))]
    for process in processes:
        process.taken = taken
        if data.draw(st.booleans()):
            process.settle()
    wanted = st.one_of(
        st.integers(1, house.seats + 1).map(Wanted),
        st.sets(st.integers(1, house.seats), min_size=1).map(
            lambda seats: Wanted(len(seats), tuple(sorted(seats)), "seats")
        ),
    )
    for _ in range(data.draw(st.integers(1, 8))):
        process = data.draw(st.sampled_from(processes))
        orders = [
            Order(showing(), house, each)
            for each in data.draw(st.lists(wanted, min_size=1, max_size=5))
        ]
        free_before = set(range(1, house.seats + 1)) - taken
        outcomes = process.sell(*orders)
        sold = seats_of(outcomes)
        assert len(sold) == len(set(sold))
        assert set(sold) <= free_before
        for order, outcome in zip(orders, outcomes, strict=True):
            if isinstance(outcome, tuple):
                assert len(outcome) == order.wanted.amount
                assert not order.wanted.seats or outcome == order.wanted.seats
            elif isinstance(outcome, SeatTaken):
                assert not set(order.wanted.seats) <= set(outcome.facts["free_seats"])
            elif isinstance(outcome, NotEnoughSeats):
                assert 0 < outcome.facts["seats_left"] < order.wanted.amount
            else:
                assert taken == set(range(1, house.seats + 1))
        if data.draw(st.booleans()) and taken:
            taken.remove(data.draw(st.sampled_from(sorted(taken))))  # by another process
