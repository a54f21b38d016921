"""Who may speak on a line."""

import asyncio

from custom_components.dc_meter.metering.turn import Turn


async def test_a_turn_is_had_one_after_another_and_kept_for_all_there_is_to_say() -> (
    None
):
    """Who has it may take it again; who asked first is next."""
    turn = Turn()
    said: list[str] = []

    async def speak(who: str) -> None:
        async with turn:
            for word in "abc":
                async with turn:
                    said.append(who + word)
                    await asyncio.sleep(0)

    await asyncio.gather(*(speak(who) for who in "123"))
    assert said == [who + word for who in "123" for word in "abc"]


async def test_a_turn_is_given_up_by_whoever_is_ended() -> None:
    """Whether it is had or only waited for."""
    turn = Turn()

    async def speak() -> None:
        async with turn, turn:
            await asyncio.sleep(60)

    speaking, waiting = [asyncio.create_task(speak()) for _ in range(2)]
    await asyncio.sleep(0)
    for task in (waiting, speaking):
        task.cancel()
    await asyncio.wait({speaking, waiting})
    async with asyncio.timeout(1), turn:
        pass


async def test_who_waits_for_a_line_is_one_at_a_time_of_its_kind() -> None:
    """Two want a turn within the line's, and somebody else comes before the second of them."""
    line = Turn()
    turn = Turn(within=line)
    said: list[str] = []

    async def speak(who: str, its: Turn) -> None:
        async with its, its:
            said.append(who)
            await asyncio.sleep(0)

    async with line:
        speaking = [
            asyncio.create_task(speak(who, its))
            for who, its in (("one", turn), ("other", turn), ("stranger", line))
        ]
        await asyncio.sleep(0)
        assert not said
    await asyncio.gather(*speaking)
    assert said == ["one", "stranger", "other"]


async def test_who_has_the_line_has_it_for_a_turn_within_it() -> None:
    """A search has the line, and asks a meter of it."""
    line = Turn()
    async with asyncio.timeout(1), line, Turn(within=line):
        pass
    async with asyncio.timeout(1), line:
        pass


async def test_who_stops_waiting_for_a_line_keeps_nobody_from_it() -> None:
    """Neither its own turn nor the line's is lost."""
    line = Turn()
    turn = Turn(within=line)
    async with line:
        waiting = asyncio.create_task(turn.acquire())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
    async with asyncio.timeout(1), turn, line:
        pass
