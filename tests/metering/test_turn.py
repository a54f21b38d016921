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
